// What must hold in the small world at every step, whatever happens, and how it must end once all trouble is over.

import type { Ledger } from '../../../src/ledger/ledger.ts';
import type { Goal } from '../../../src/reconcile/goal.ts';
import { blocksOf, type State } from '../../../src/reconcile/state.ts';
import { deserves, isPublishable, natureOfRendering, renderingOf } from './contents.ts';
import type { Life } from './life.ts';
import type { World } from './world.ts';

/** What is slow is tried again after this. */
const SLOW_MS = 300_000;

function isBad(verdict: Ledger['verdict'] | undefined): boolean {
  return verdict !== undefined && verdict !== 'pending' && verdict !== 'good';
}

/** Nothing blocked while there is something else to show, nothing newer while a trial goes on, nothing but the pin. */
export function lawsOfPublishing(world: World, state: State, { rendering, from }: Goal): void {
  const { ledger, session } = state;
  const { pinned, trial, published, kept } = ledger;
  const { volume, checked, held, candidate } = session;
  const { goesBack, validates } = world.setting;
  const good = kept[0]?.rendering ?? null;
  const isPinKept = kept.some((one) => one.rendering === pinned?.rendering);
  const isBlocked = blocksOf(state).some((block) => block.rendering === rendering) && rendering !== good;
  // With ROLLBACK=false it stays, and may be tried with a process that started with it.
  const mayStay = !goesBack && (trial !== null || volume?.rendering !== null);
  const hasElse = good !== null && !mayStay;
  if (isBlocked && hasElse && from !== 'pin') world.forbid(`publishes the blocked ${rendering}`);
  if (pinned !== null && isPinKept && rendering !== pinned.rendering)
    world.forbid(`publishes ${rendering} in place of the pin`);
  const hasBytes =
    held?.rendering === published?.rendering || kept.some((one) => one.rendering === published?.rendering);
  const isShown = hasBytes || volume?.rendering === published?.rendering;
  if (trial !== null && isShown && pinned === null && rendering !== published?.rendering)
    world.forbid(`publishes ${rendering} while ${published?.rendering} is tried`);
  if (from === 'last-known-good' && rendering !== good)
    world.forbid(`rolls back to ${rendering}, which is not the last known good`);
  if (from !== 'candidate') return;
  if (candidate?.version.rendering !== rendering)
    world.forbid(`publishes ${rendering}, which is not what is wanted`);
  if (!isPublishable(Number(rendering.slice(1)), world.setting) && world.volume !== rendering)
    world.forbid(`publishes what is refused: ${rendering}`);
  if (validates && !(checked?.rendering === rendering && checked.error === null))
    world.forbid(`publishes ${rendering}, which has not passed`);
}

/** Only what is published, seen on the volume a moment ago, and only to a process that can take it. */
export function lawsOfNotifying(
  world: World,
  { ledger: { published, trial }, session, policy }: State,
): void {
  const { volume, process } = session;
  if (published === null || volume?.rendering !== published.rendering)
    world.forbid('notifies of what is not there');
  if (volume !== null && world.volume !== published?.rendering && world.driftAt <= volume.seenAt)
    world.forbid('notifies of what it could have seen is gone');
  if (policy.isNamed && process?.fact.kind !== 'ready') world.forbid('notifies a process that is not ready');
  if (policy.isNamed && process !== null && world.now - process.seenAt > 50)
    world.forbid(`notifies a process that was seen ${world.now - process.seenAt} ms ago`);
  if (trial !== null) world.forbid('notifies again of what is being tried');
  if (world.life?.isStopping) world.forbid('notifies after SIGTERM');
}

/** A verdict beats a process that started with it, where there is something to roll back to. */
export function lawOfPickingUp(world: World, state: State): void {
  const { published, pinned, kept, verdict } = state.ledger;
  const rendering = published?.rendering ?? '';
  const good = kept[0]?.rendering;
  const hasElse = state.policy.rollsBack && pinned === null && good !== undefined && good !== rendering;
  const isBlocked = blocksOf(state).some((block) => block.rendering === rendering);
  if (hasElse && isBad(verdict) && isBlocked) world.forbid(`tries the blocked ${rendering} again`);
}

/** What must be true whenever the sidecar has nothing to do. */
export function lawsOfRest(world: World, { state }: Life): void {
  const { ledger } = state;
  const blocks = blocksOf(state);
  const good = ledger.kept[0]?.rendering;
  if (good !== undefined && !world.confirmed.has(good))
    world.forbid(`the last known good ${good} was never confirmed`);
  if (world.setting.hook !== 'none' && ledger.owed === null && isForgotten(world, ledger))
    world.forbid(`nothing is owed, but the application runs ${world.runs} and not ${world.volume}`);
  // The next pod finds the suspicion and a restarted application, and takes that for the death it waited for.
  if (!world.onlyContent || world.isSuspicionStuck) return;
  const certain = blocks.filter((block) => block !== ledger.suspect?.block);
  const innocent = certain.find(({ rendering }) => !deserves(rendering, world.setting));
  if (innocent !== undefined) world.forbid(`${innocent.rendering} is blocked and good: ${innocent.outcome}`);
}

function isForgotten(world: World, { published, verdict, trial }: Ledger): boolean {
  if (published === null || published.rendering !== world.volume || isBad(verdict)) return false;
  if (trial?.restarts || world.uncertain.has(world.publications)) return false;
  // With CONFIRM_PERIOD=0 the restart that was asked for is not watched.
  if (world.setting.restarts && world.setting.periodMs === 0) return false;
  return world.runs !== undefined && world.runs !== world.volume;
}

/** Two publications of one life keep their distance, except where there is no time to lose. */
export function lawOfIntervals(world: World, { publications }: Life): void {
  const { limits } = world.setting;
  for (const [i, { at, isUrgent }] of publications.entries()) {
    const before = publications[i - 1];
    if (before !== undefined && !isUrgent && at - before.at < limits.minIntervalMs)
      world.forbid(`publications too close: ${before.at} and ${at}`);
  }
}

/** The application is notified once of each publication, and again only when it is unknown whether it was. */
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
  const { life, setting, volume } = world;
  if (life === null) throw new Error('the sidecar is not running');
  const { ledger } = life.state;
  const goals = goalsOf(world, life.state);
  if (!goals.includes(volume))
    throw new Error(`ends with ${volume} on the volume, wanted ${goals.join(' or ')}: ${ledger.verdict}`);
  if (ledger.published === null || ledger.published.rendering !== volume) return;
  if (isHopeless(world, life.state)) return;
  if (ledger.trial !== null || ledger.suspect !== null) throw new Error('tries for ever');
  if (ledger.verdict !== 'good') throw new Error(`ends with the verdict ${ledger.verdict}`);
  if (ledger.owed !== null) throw new Error('something is still owed');
  if (setting.hook !== 'none' && world.runs !== undefined && world.runs !== volume)
    throw new Error(`the application runs ${world.runs}, not ${volume}`);
}

/** The first of: the pin; what is wanted, unless refused or blocked; what is there and works, or the last known good. */
function goalsOf(world: World, state: State): readonly (string | null)[] {
  const { ledger } = state;
  const blocks = blocksOf(state);
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
  // Of others, or of a ledger that was lost: in doubt it stays, unless what was there can be given back.
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
function isHopeless(world: World, state: State): boolean {
  const { ledger } = state;
  const blocks = blocksOf(state);
  const { published, verdict, pinned, kept } = ledger;
  if (published === null) return false;
  const { rendering } = published;
  const hasElse = kept[0] !== undefined && kept[0].rendering !== rendering && world.setting.goesBack;
  if (pinned === null && hasElse) return false;
  const doesNotWork = isBad(verdict) || blocks.some((one) => one.rendering === rendering);
  return isHarmful(rendering) || (doesNotWork && kept[0]?.rendering !== rendering);
}

/** Confirmed by a notification, or by a start, and harmful otherwise: this could not be known. */
function isHarmful(rendering: string): boolean {
  return natureOfRendering(rendering) !== 'good';
}

/** Once all is done, nothing more happens; what is hopeless is notified again, slowly. */
export async function lawOfQuiet(world: World, forMs: number, act: () => Promise<void>): Promise<void> {
  const before = { publications: world.publications, tellings: world.tellings.length };
  const mayRetell = world.life !== null && isHopeless(world, world.life.state);
  await act();
  const publications = world.publications - before.publications;
  const tellings = world.tellings.length - before.tellings;
  const most = mayRetell ? 1 + Math.ceil(forMs / Math.min(SLOW_MS, 30_000)) : 0;
  if (publications > 0 || tellings > most)
    throw new Error(`goes on when all is done: ${publications} publications, ${tellings} tellings`);
}
