// What must hold in the small world at every step, whatever happens, and how it must end once all trouble is over.

import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Facts, Step } from '../../../src/reconcile/decide.ts';
import { deserves, isPublishable, natureOfRendering, renderingOf, type Setting } from './decide-contents.ts';
import { SLOW_MS } from './decide-retries.ts';
import type { Sidecar } from './decide-sidecar.ts';
import type { World } from './decide-world.ts';

type Goal = Extract<Step, { kind: 'publish' }>['what'];

function isBad(verdict: Ledger['verdict'] | undefined): boolean {
  return verdict !== undefined && verdict !== 'pending' && verdict !== 'good';
}

/** Nothing blocked while there is something else to show, nothing newer while a trial goes on, nothing but the pin. */
export function lawsOfPublishing(
  { goesBack, validates }: Setting,
  facts: Facts,
  { rendering, what }: { readonly rendering: string; readonly what: Goal },
): void {
  const { blocked, lastKnownGood, pinned, trial, published, volume, checked } = facts;
  const isBlocked = blocked.includes(rendering) && rendering !== lastKnownGood;
  // With ROLLBACK=false it stays, and may be tried with a process that started with it.
  const mayStay = !goesBack && (trial !== null || volume?.rendering !== null);
  const hasElse = lastKnownGood !== null && !mayStay;
  if (isBlocked && hasElse && what !== 'pinned') throw new Error(`publishes the blocked ${rendering}`);
  if (pinned !== null && rendering !== pinned) throw new Error(`publishes ${rendering} in place of the pin`);
  const isShown = published?.held === true || volume?.rendering === published?.rendering;
  if (trial !== null && isShown && pinned === null && rendering !== published?.rendering)
    throw new Error(`publishes ${rendering} while ${published?.rendering} is tried`);
  if (what === 'last-known-good' && rendering !== lastKnownGood)
    throw new Error(`goes back to ${rendering}, which is not the last known good`);
  if (what === 'rendered' && validates && !(checked?.rendering === rendering && checked.passed))
    throw new Error(`publishes ${rendering}, which has not passed`);
}

/** Only what is published, seen on the volume a moment ago, and only to a process that can take it. */
export function lawsOfTelling(world: World, { volume, process, trial }: Facts, ledger: Ledger): void {
  const { published } = ledger;
  if (published === null || volume?.rendering !== published.rendering)
    throw new Error('tells of what is not there');
  if (world.volume !== published.rendering && world.driftAt <= volume.lookedAt)
    throw new Error('tells of what it could have seen is gone');
  if (world.setting.isNamed && process?.kind !== 'ready')
    throw new Error('tells a process that is not ready');
  if (trial !== null) throw new Error('tells again what is being tried');
  if (world.sidecar?.isStopping) throw new Error('tells after SIGTERM');
}

/** A verdict beats a process that started with it, where there is something to go back to. */
export function lawOfPickingUp({ published, blocked, lastKnownGood, pinned, goesBack }: Facts): void {
  const rendering = published?.rendering ?? '';
  const hasElse = goesBack && pinned === null && lastKnownGood !== null && lastKnownGood !== rendering;
  if (hasElse && isBad(published?.verdict) && blocked.includes(rendering))
    throw new Error(`tries the blocked ${rendering} again`);
}

/** What must be true whenever the sidecar has nothing to do. */
export function lawsOfRest(world: World, { ledger, blocks }: Sidecar): void {
  const good = ledger.kept[0]?.rendering;
  if (good !== undefined && !world.confirmed.has(good))
    throw new Error(`the last known good ${good} was never confirmed`);
  if (world.setting.hook !== 'none' && ledger.owed === null && isForgotten(world, ledger))
    throw new Error(`nothing is owed, but the application runs ${world.runs} and not ${world.volume}`);
  if (!world.onlyContent) return;
  const certain = blocks.filter((block) => block !== ledger.suspect?.block);
  const innocent = certain.find(({ rendering }) => !deserves(rendering, world.setting));
  if (innocent !== undefined)
    throw new Error(`${innocent.rendering} is blocked and good: ${innocent.outcome}`);
}

function isForgotten(world: World, { published, verdict, trial }: Ledger): boolean {
  if (published === null || published.rendering !== world.volume || isBad(verdict)) return false;
  if (trial?.restarts || world.uncertain.has(world.publications)) return false;
  return world.runs !== undefined && world.runs !== world.volume;
}

/** Two publications of one life keep their distance, except where there is no time to lose. */
export function lawOfIntervals(sidecar: Sidecar, { limits }: Setting): void {
  for (const [i, { at, isUrgent }] of sidecar.publications.entries()) {
    const before = sidecar.publications[i - 1];
    if (before !== undefined && !isUrgent && at - before.at < limits.minIntervalMs)
      throw new Error(`publications too close: ${before.at} and ${at}`);
  }
}

/** The application is told once of each publication, and again only when it cannot be known whether it was. */
function lawOfTellings(world: World): void {
  const told = new Map<number, number>();
  for (const { publication } of world.tellings) told.set(publication, (told.get(publication) ?? 0) + 1);
  for (const [publication, times] of told) {
    if (times > 1 && !world.uncertain.has(publication))
      throw new Error(`told ${times} times of publication ${publication}`);
  }
}

/** How often one rendering may be published for each trouble there was: there, and back. */
const RENAMES_PER_TROUBLE = 2;

/** Everything that must be true of a world in which there was trouble and then there was none for long. */
export function judge(world: World): void {
  lawOfTellings(world);
  const most = RENAMES_PER_TROUBLE * (world.troubles + 2);
  if (world.renames.length > most)
    throw new Error(`${world.renames.length} publications of ${world.troubles} troubles`);
  const { sidecar, setting, volume } = world;
  if (sidecar === null) throw new Error('the sidecar is not running');
  const { ledger } = sidecar;
  const goals = goalsOf(world, sidecar);
  if (!goals.includes(volume))
    throw new Error(`ends with ${volume} on the volume, wanted ${goals.join(' or ')}: ${ledger.verdict}`);
  if (ledger.published === null || ledger.published.rendering !== volume) return;
  if (isHopeless(world, sidecar)) return;
  if (ledger.trial !== null || ledger.suspect !== null) throw new Error('tries for ever');
  if (ledger.verdict !== 'good') throw new Error(`ends with the verdict ${ledger.verdict}`);
  if (ledger.owed !== null) throw new Error('something is still owed');
  if (setting.hook !== 'none' && world.runs !== undefined && world.runs !== volume)
    throw new Error(`the application runs ${world.runs}, not ${volume}`);
}

/** The first of: the pin; what is wanted, unless refused or blocked; what is there and works, or the last known good. */
function goalsOf(world: World, { ledger, blocks }: Sidecar): readonly (string | null)[] {
  const good = ledger.kept[0]?.rendering ?? null;
  const { pinned } = ledger;
  // Of one whose copy was lost, what is there stays.
  if (pinned !== null && !ledger.kept.some(({ rendering }) => rendering === pinned.rendering))
    return [pinned.rendering, world.volume, good];
  if (pinned !== null) return [pinned.rendering];
  const wanted = renderingOf(world.content);
  const blocked = blocks.map(({ rendering }) => rendering).filter((rendering) => rendering !== good);
  if (isPublishable(world.content, world.setting) && !blocked.includes(wanted)) return [wanted];
  const { published, verdict } = ledger;
  const works = published !== null && verdict === 'good' ? [published.rendering] : [];
  // Somebody else's, or of a ledger that was lost: in doubt it stays, unless what was there can be given back.
  const isLost = !ledger.kept.some(({ rendering }) => rendering === published?.rendering);
  if (isLost && published?.rendering !== world.volume) return [...works, good, world.volume];
  if (works.length > 0 || (good !== null && world.setting.goesBack)) return [...works, good].filter(isThere);
  // Nothing can be done but to leave what there is.
  return [world.volume];
}

function isThere(rendering: string | null): boolean {
  return rendering !== null;
}

/** What is on the volume does not work, and there is nothing else to show: it is said, and left. */
function isHopeless(world: World, { ledger, blocks }: Sidecar): boolean {
  const { published, verdict, pinned, kept } = ledger;
  if (published === null) return false;
  const { rendering } = published;
  const hasElse = kept[0] !== undefined && kept[0].rendering !== rendering && world.setting.goesBack;
  if (pinned === null && hasElse) return false;
  const doesNotWork = isBad(verdict) || blocks.some((one) => one.rendering === rendering);
  return isHarmful(rendering) || (doesNotWork && kept[0]?.rendering !== rendering);
}

/** Confirmed by a telling, or by a start, and harmful otherwise: nobody could know. */
function isHarmful(rendering: string): boolean {
  return natureOfRendering(rendering) !== 'good';
}

/** Once all is done, nothing more happens; what is hopeless is told again, slowly. */
export function lawOfQuiet(world: World, forMs: number, act: () => void): void {
  const before = { publications: world.publications, tellings: world.tellings.length };
  const mayRetell = world.sidecar !== null && isHopeless(world, world.sidecar);
  act();
  const publications = world.publications - before.publications;
  const tellings = world.tellings.length - before.tellings;
  const most = mayRetell ? 1 + Math.ceil(forMs / Math.min(SLOW_MS, 30_000)) : 0;
  if (publications > 0 || tellings > most)
    throw new Error(`goes on when all is done: ${publications} publications, ${tellings} tellings`);
}
