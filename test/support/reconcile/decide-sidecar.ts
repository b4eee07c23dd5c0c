// One life of a sidecar in the small world: the loop of src/reconcile/target.ts and src/reconcile/trying.ts over the real `decide` and the real
// ledger functions, with the world in place of disk, application and source.

import type {
  BadVerdict,
  Block,
  Evidence,
  Kept,
  Ledger,
  Published,
  PublishedAs,
  Trial,
} from '../../../src/ledger/ledger.ts';
import * as ledgers from '../../../src/ledger/ledger.ts';
import type { ProcessId } from '../../../src/ledger/types.ts';
import { decide, type Facts, type Step } from '../../../src/reconcile/decide.ts';
import { chooseKept } from '../../../src/reconcile/verdict.ts';
import type { Application } from './decide-application.ts';
import { Candidate } from './decide-candidate.ts';
import { isAnswered } from './decide-contents.ts';
import { lawOfPickingUp, lawsOfPublishing, lawsOfTelling } from './decide-laws.ts';
import { delayOf, SLOW_MS } from './decide-retries.ts';
import { Looks } from './decide-trial.ts';
import type { World } from './decide-world.ts';

/** Where in a step the sidecar can be ended, in the order in which a change passes them. */
export const KILL_POINTS = [
  ...(['waiting', 'intended', 'renamed', 'published', 'reload', 'delivered', 'told', 'begun'] as const),
  ...(['confirm', 'copied', 'kept', 'condemned', 'going back', 'blocked'] as const),
];
export type KillPoint = (typeof KILL_POINTS)[number];

/** FETCH_TIMEOUT. */
const ASK_MS = 10_000;
const GONE_MS = 100;
const REFUSALS = 3;
/** Far above what any chain of rules needs at one instant. */
const MAX_STEPS_AT_ONCE = 30;

type Goal = Extract<Step, { kind: 'publish' }>['what'];
type Sight = ReturnType<Application['see']>;

export class DiskFull extends Error {}

export class Sidecar {
  ledger: Ledger;
  /** SIGTERM came. */
  isStopping = false;
  /** When each publication of this life began, and whether it had to wait for the interval. */
  readonly publications: { readonly at: number; readonly isUrgent: boolean }[] = [];
  readonly #world: World;
  readonly #askUntil: number;
  readonly #candidate: Candidate;
  #saved: Ledger;
  #held: string | null = null;
  #volume: Facts['volume'] = null;
  #publishedAt: number | null = null;
  #publishFailures = 0;
  #publishRetryAt = 0;
  #tellFailures = 0;
  #refusals = 0;
  #tellRetryAt = 0;
  #retellings = 0;
  #process: ProcessId | null = null;
  #hasBegun = false;
  #lookAt = 0;
  #looks: Looks | null = null;
  #steps: { at: number; count: number } = { at: 0, count: 0 };

  constructor(world: World) {
    this.#world = world;
    this.#askUntil = world.now + ASK_MS;
    this.#candidate = new Candidate(world);
    const found = world.disk.current;
    const known = found.generation > 0 ? found : this.#withCopies(found);
    this.ledger = ledgers.resolveIntention(known, world.volume, world.momentOfVolume());
    this.#saved = found;
    if (this.ledger.published?.rendering === world.volume) this.#held = world.volume;
    this.#noteLook();
  }

  #withCopies(found: Ledger): Ledger {
    const whole = [...this.#world.copies.values()].filter(({ isWhole }) => isWhole).map(({ kept }) => kept);
    const newestFirst = whole.sort((a, b) => b.confirmedAt - a.confirmedAt);
    const once = newestFirst.filter(
      (one, i) => newestFirst.findIndex(({ rendering }) => rendering === one.rendering) === i,
    );
    return once.length === 0 ? found : ledgers.restored(found, once);
  }

  /** One turn of the loop; waits no longer than until `end`. */
  step(end: number): void {
    if (this.isStopping) {
      this.#finish();
      return;
    }
    const facts = this.facts();
    const step = decide(facts);
    this.#watchForHotLoop(step, facts);
    if (step.kind === 'wait') this.#wait(step.until, end);
    else this.#carryOut(step, facts);
  }

  #finish(): void {
    this.ledger = ledgers.suspicionDropped(this.ledger);
    this.#save();
    this.#world.sidecarEnded();
  }

  #watchForHotLoop(step: Step, facts: Facts): void {
    const { now } = this.#world;
    this.#steps = { at: now, count: this.#steps.at === now ? this.#steps.count + 1 : 1 };
    if (step.kind === 'wait' && !(step.until > now))
      throw new Error(`waits for the past: ${JSON.stringify([step, facts])}`);
    if (this.#steps.count > MAX_STEPS_AT_ONCE)
      throw new Error(`hot loop at ${now}: ${JSON.stringify([step, facts])}`);
  }

  #wait(until: number, end: number): void {
    this.#save();
    this.#world.rest(this);
    this.#world.point('waiting');
    if (!this.isStopping) this.#world.passUntil(Math.min(until, end));
  }

  // The facts.

  facts(): Facts {
    const { now, setting } = this.#world;
    const { ledger } = this;
    const { published, owed, verdict, pinned, kept, trial, suspect } = ledger;
    const isKept = kept.some(({ rendering }) => rendering === published?.rendering);
    const process = this.#volume && this.#asksForProcess() ? this.#see(published).fact : null;
    return {
      now,
      limits: setting.limits,
      ...this.#candidate.facts,
      askUntil: this.#askUntil,
      volume: this.#volume,
      published: published && {
        ...{ rendering: published.rendering, verdict },
        held: this.#isHeld || isKept,
      },
      publishedAt: this.#publishedAt,
      publishRetryAt: this.#publishRetryAt,
      blocked: this.blocks.map(({ rendering }) => rendering),
      lastKnownGood: kept[0]?.rendering ?? null,
      pinned: kept.find(({ rendering }) => rendering === pinned?.rendering)?.rendering ?? null,
      isPinLost: pinned !== null && !kept.some(({ rendering }) => rendering === pinned.rendering),
      goesBack: setting.goesBack,
      owed: owed !== null,
      tellRetryAt: this.#tellRetryAt,
      hook: setting.hook,
      process,
      trial: trial && { lookAt: this.#lookAt },
      suspect: suspect && {
        isReplaced: this.#process !== null && !isSame(this.#process, suspect.process),
        until: suspect.until,
      },
    };
  }

  /** Under the settings as they are, with what is suspected. */
  get blocks(): readonly Block[] {
    const { blocked, suspect } = this.ledger;
    const known = blocked.filter(({ under }) => under === this.#world.under);
    return suspect === null ? known : [suspect.block, ...known];
  }

  get #isHeld(): boolean {
    return this.#held !== null && this.#held === this.ledger.published?.rendering;
  }

  #asksForProcess(): boolean {
    const { owed, verdict, trial, suspect } = this.ledger;
    return owed !== null || suspect !== null || (verdict !== 'good' && trial === null);
  }

  #see(published: Published | null): Sight {
    if (published === null) return { fact: null, id: null };
    const sight = this.#world.application.see(published);
    this.#process = sight.id;
    // As in target.ts: a process from before may be about to die of what was there before.
    const until = published.at + this.#world.setting.periodMs;
    const isUnsure = sight.fact?.kind === 'ready' && published.afterDeath === true;
    return isUnsure && until > this.#world.now ? { ...sight, fact: { kind: 'settling', until } } : sight;
  }

  // What comes from outside.

  /** The source answered, or failed (null). */
  notice(content: number | null): void {
    this.#candidate.notice(content);
  }

  sync(retry: boolean): void {
    this.#candidate.tryAgain();
    this.#clearPublishing();
    if (!retry) return;
    this.#world.uncertain.add(this.#world.publications);
    this.ledger = ledgers.unblocked(this.ledger, this.#tells, this.#world.now);
    this.#resetTelling();
    this.#candidate.reconsider();
  }

  /** @throws SidecarError when there is no such generation, DiskFull. */
  pin(generation: number | null): void {
    const onVolume = this.#volume?.rendering ?? null;
    const { rendering, generation: number } = chooseKept(this.ledger, { generation, onVolume });
    this.setPinned({ rendering, generation: number });
  }

  setPinned(pinned: Ledger['pinned']): void {
    const before = this.ledger.pinned;
    this.ledger = { ...this.ledger, pinned };
    try {
      this.#write(this.ledger);
    } catch (thrown) {
      this.ledger = { ...this.ledger, pinned: before };
      throw thrown;
    }
    this.#candidate.reconsider();
    this.#clearPublishing();
  }

  // The steps.

  #carryOut(step: Exclude<Step, { kind: 'wait' }>, facts: Facts): void {
    switch (step.kind) {
      case 'look':
        this.#noteLook();
        this.#keep();
        return;
      case 'render':
        this.#render();
        return;
      case 'validate':
        this.#candidate.validate();
        return;
      case 'publish':
        this.#publish(step.what, facts);
        return;
      case 'adopt':
        this.#adopt(step.what);
        return;
      case 'reload':
        this.#reload(facts);
        return;
      case 'settle':
        if (step.why === 'no-hook') this.ledger = { ...this.ledger, owed: null };
        else this.#pickUp(facts);
        return;
      case 'try':
        this.#begin();
        return;
      case 'confirm':
        this.#confirm();
        return;
      case 'block':
        this.#block();
    }
  }

  #noteLook(): void {
    this.#volume = { rendering: this.#world.volume, lookedAt: this.#world.now };
  }

  #render(): void {
    this.#candidate.render();
    const { rendering } = this.#candidate;
    if (rendering === null) return;
    this.#clearPublishing();
    if (this.ledger.pinned !== null || rendering !== this.#volume?.rendering) return;
    this.#held = rendering;
    this.#publishedAt ??= this.#world.now - this.#world.setting.limits.minIntervalMs;
    const { published } = this.ledger;
    if (published?.rendering === rendering && published.as !== 'desired')
      this.ledger = { ...this.ledger, published: { ...published, as: 'desired' } };
  }

  #publish(what: Goal, facts: Facts): void {
    const world = this.#world;
    const startedAt = world.now;
    const version = this.#wanted(what);
    if (version === null) return;
    lawsOfPublishing(world.setting, facts, { rendering: version.rendering, what });
    const isUrgent = what === 'last-known-good' || what === 'pinned';
    const intended = ledgers.intend(this.ledger, { ...version, at: world.now, moment: null }, this.#tells);
    try {
      this.#write(intended);
    } catch (thrown) {
      if (!(thrown instanceof DiskFull)) throw thrown;
      if (!isUrgent) {
        this.#publishFailed();
        return;
      }
      world.uncertain.add(world.publications).add(world.publications + 1);
    }
    this.ledger = intended;
    if (isUrgent) world.point('going back');
    world.point('intended');
    world.take();
    // The disk filled up meanwhile: the files were not swapped.
    if (world.isOutputFull) {
      this.#noteLook();
      this.ledger = ledgers.resolveIntention(this.ledger, world.volume, world.momentOfVolume());
      this.#publishFailed();
      return;
    }
    world.rename(version.rendering);
    world.point('renamed');
    this.ledger = ledgers.carriedOut(this.ledger, world.stamp());
    const wasBad = facts.published !== null && !['pending', 'good'].includes(facts.published.verdict);
    this.publications.push({ at: startedAt, isUrgent: isUrgent || wasBad });
    this.#volume = { rendering: version.rendering, lookedAt: world.now };
    this.#held = version.rendering;
    this.#publishedAt = startedAt;
    this.#clearPublishing();
    this.#resetTelling();
    world.point('published');
  }

  #wanted(what: Goal): Published | null {
    const { published, kept, pinned } = this.ledger;
    if (what === 'rendered') return this.#candidate.version;
    if (what === 'published' && this.#isHeld) return published;
    const rendering = what === 'pinned' ? pinned?.rendering : published?.rendering;
    const one = what === 'last-known-good' ? kept[0] : kept.find((each) => each.rendering === rendering);
    if (one === undefined || !this.#isReadable(one)) return null;
    if (what === 'published') return published;
    return publishedOf(one, what === 'pinned' ? 'pinned' : this.#whyGoodOne());
  }

  #isReadable(kept: Kept): boolean {
    if (this.#held === kept.rendering) return true;
    const copy = this.#world.copies.get(kept.generation);
    if (copy?.isWhole === true && copy.kept.rendering === kept.rendering) return true;
    this.ledger = ledgers.withoutKept(this.ledger, kept.rendering);
    return false;
  }

  #whyGoodOne(): PublishedAs {
    const { published, verdict } = this.ledger;
    const wanted = this.#candidate.rendering;
    const isBlocked = this.blocks.some(({ rendering }) => rendering === wanted);
    const isBad = published !== null && verdict !== 'good' && verdict !== 'pending';
    return isBlocked || isBad ? 'rolled-back' : 'fallback';
  }

  #publishFailed(): void {
    this.#publishFailures += 1;
    this.#publishRetryAt = this.#world.now + delayOf(this.#publishFailures);
  }

  #clearPublishing(): void {
    this.#publishFailures = 0;
    this.#publishRetryAt = 0;
  }

  get #tells(): boolean {
    return this.#world.setting.hook !== 'none';
  }

  #adopt(what: Goal): void {
    const version = this.#wanted(what);
    if (version === null) return;
    this.#world.uncertain.add(this.#world.publications);
    const moment = this.#world.momentOfVolume();
    this.ledger = ledgers.adopt(this.ledger, { ...version, moment }, this.#tells);
  }

  // Telling and trying.

  #reload(facts: Facts): void {
    const world = this.#world;
    const { published } = this.ledger;
    lawsOfTelling(world, facts, this.ledger);
    if (published === null) return;
    if (facts.published !== null && !['pending', 'good'].includes(facts.published.verdict))
      world.uncertain.add(world.publications);
    const process = this.#process;
    const notBefore = world.now;
    world.point('reload');
    if (this.isStopping) return;
    const result = world.application.tell(process);
    world.take();
    if (result !== 'told' && this.isStopping) return;
    world.point('delivered');
    const { probes, setting } = { probes: world.setting.probes, setting: world.setting };
    if (result === 'told') {
      const evidence = isAnswered(setting) ? (['answered'] as const) : [];
      this.#told({ how: 'told', process, evidence, notBefore });
      return;
    }
    if (result === 'unknown' && probes) {
      this.#told({ how: 'told', process, evidence: [], notBefore });
      return;
    }
    this.#untold(result);
  }

  #untold(result: Exclude<ReturnType<Application['tell']>, 'told'>): void {
    const { now } = this.#world;
    this.#tellFailures += 1;
    this.#refusals = result === 'refused' ? this.#refusals + 1 : 0;
    this.#tellRetryAt = now + (result === 'gone' ? GONE_MS : delayOf(this.#tellFailures));
    if (result === 'misconfigured') this.#tellRetryAt = now + SLOW_MS;
    if (this.#refusals >= REFUSALS) this.#condemn('refused');
  }

  #resetTelling(): void {
    this.#tellFailures = 0;
    this.#refusals = 0;
    this.#tellRetryAt = 0;
  }

  #told(beginning: Pick<Trial, 'how' | 'process' | 'evidence'> & { readonly notBefore?: number }): void {
    const { process, evidence } = beginning;
    const [first = null] = evidence as readonly ('answered' | 'started')[];
    const trial = this.#trial(beginning);
    this.ledger = ledgers.toldOf(this.ledger, { process, evidence: first, at: this.#world.now }, trial);
    this.#resetTelling();
    this.#save();
    this.#world.point('told');
  }

  #pickUp(facts: Facts): void {
    lawOfPickingUp(facts);
    this.#told({ how: 'picked-up', process: this.#process, evidence: ['started'] });
  }

  #begin(): void {
    const trial = this.#trial({ how: 'published', process: this.#process, evidence: [] });
    this.ledger = ledgers.triedBy(this.ledger, trial);
    this.#world.point('begun');
  }

  #trial({
    notBefore = this.ledger.published?.at ?? 0,
    ...beginning
  }: Pick<Trial, 'how' | 'process' | 'evidence'> & { readonly notBefore?: number }): Trial {
    this.#lookAt = 0;
    this.#hasBegun = true;
    const restarts = beginning.how === 'told' && this.#world.setting.restarts;
    const { now } = this.#world;
    return { ...beginning, notBefore, children: [], restarts, at: now, moment: this.#world.stamp() };
  }

  #confirm(): void {
    const { trial, published } = this.ledger;
    if (trial === null || published === null) return;
    const { id: current } = this.#see(published);
    this.#looks ??= new Looks(this.#world, !this.#hasBegun);
    const result = this.#looks.look({ trial, published, current });
    if (this.isStopping || this.ledger.trial !== trial) return;
    if (typeof result === 'number') this.#lookAt = this.#world.now + result;
    else if (result === 'confirmed') this.#accept();
    else if (result === 'absent') {
      this.#world.uncertain.add(this.#world.publications);
      this.ledger = ledgers.trialLost(this.ledger, this.#tells, this.#world.now);
    } else if (result === 'unconfirmed') this.#condemn('unconfirmed');
    else if (result.kind === 'died') this.#condemn('target-died', result.isReplaced);
    else {
      const next = { ...this.#trial({ ...trial, process: result.process }), restarts: false };
      this.ledger = ledgers.triedBy(this.ledger, next);
    }
  }

  #accept(): void {
    const { published } = this.ledger;
    this.#world.point('confirm');
    const evidence: readonly Evidence[] = ['alive'];
    this.ledger = ledgers.confirmed(this.ledger, { evidence, at: this.#world.now });
    if (published !== null) this.#world.confirmed.add(published.rendering);
    this.#retellings = 0;
    this.#keep();
    this.#save();
  }

  #keep(): void {
    const { published, verdict, kept } = this.ledger;
    const world = this.#world;
    if (!this.#isHeld || published === null || verdict !== 'good') return;
    if (kept[0]?.rendering === published.rendering) return;
    const { keeps } = world.setting;
    const [newest] = ledgers.keeping(this.ledger, world.now, keeps).kept;
    if (newest !== undefined && !kept.some(({ rendering }) => rendering === published.rendering)) {
      if (world.isStateFull) return;
      world.copies.set(newest.generation, { kept: newest, isWhole: true });
    }
    this.ledger = ledgers.keeping(this.ledger, world.now, keeps);
    world.point('copied');
    if (world.isStateFull) return;
    this.#save();
    world.point('kept');
    const numbers = this.ledger.kept.map(({ generation }) => generation);
    for (const number of [...world.copies.keys()]) if (!numbers.includes(number)) world.copies.delete(number);
  }

  #condemn(outcome: BadVerdict, isReplaced = true): void {
    const { published } = this.ledger;
    if (published === null) return;
    const world = this.#world;
    const { rendering, revision } = published;
    const block: Block = {
      ...{ rendering, revision, digest: published.digest, outcome, under: world.under, at: world.now },
      ...{ code: `confirm.${outcome}`, message: 'It did not work.' },
    };
    const isLastKnownGood = this.ledger.kept[0]?.rendering === rendering;
    if (isLastKnownGood) world.uncertain.add(world.publications);
    const suspectUntil = isReplaced ? null : world.now + world.setting.timeoutMs;
    this.ledger = ledgers.condemned(this.ledger, { block, suspectUntil }, this.#tells);
    this.#save();
    world.point('condemned');
    if (isLastKnownGood) this.#retellings += 1;
    this.#tellRetryAt = world.now + (isLastKnownGood ? delayOf(this.#retellings) : SLOW_MS);
  }

  #block(): void {
    this.ledger = ledgers.suspicionTrue(this.ledger);
    this.#save();
    this.#world.point('blocked');
  }

  // The ledger.

  #save(): void {
    if (this.#saved === this.ledger) return;
    try {
      this.#write(this.ledger);
    } catch (thrown) {
      if (!(thrown instanceof DiskFull)) throw thrown;
      this.#world.uncertain.add(this.#world.publications);
    }
  }

  #write(ledger: Ledger): void {
    if (this.#world.isStateFull) throw new DiskFull();
    const { disk } = this.#world;
    this.#world.disk = { before: disk.current, current: ledger };
    this.#saved = ledger;
  }
}

function isSame(a: ProcessId, b: ProcessId | null): boolean {
  return a.pid === b?.pid && a.startTicks === b.startTicks;
}

function publishedOf(kept: Kept, as: PublishedAs): Published {
  return { ...ledgers.versionOf(kept), input: kept.input, moment: null, as };
}
