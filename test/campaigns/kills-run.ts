// Random `kill -9` under a stream of good and bad changes: four sidecars, each with a kind of output and a kind of hook of its
// own, are killed at any moment and started again, while readers look at what they publish. What is wrong is collected.
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Content, contentOf, createLanes, type KillOptions, type Lane, padOf } from './kills-lanes.ts';

export type { KillOptions } from './kills-lanes.ts';

export interface KillReport {
  readonly kills: number;
  readonly changes: number;
  readonly badChanges: number;
  readonly reads: number;
  readonly tellings: number;
  /** Outcomes the sidecars logged. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Everything that must not be; empty when all is well. */
  readonly wrongs: readonly string[];
}

const READ_MS = 3;
/** Generations of a directory stay readable for a minute, or for two where the sidecar was restarted. */
const OLDEST_GENERATION_MS = 240_000;
const SETTLE_MS = 60_000;

interface Tally {
  changes: number;
  badChanges: number;
  reads: number;
  tellings: number;
  kills: number;
  readonly outcomes: Record<string, number>;
  /** The lanes of which something was seen on the volume. */
  readonly seen: Set<string>;
  readonly wrongs: Set<string>;
}

/** Runs until all kills are done and everything has settled. */
export async function killAtRandom(options: KillOptions): Promise<KillReport> {
  const tally: Tally = {
    ...{ changes: 0, badChanges: 0, reads: 0, tellings: 0, kills: 0 },
    outcomes: {},
    seen: new Set(),
    wrongs: new Set(),
  };
  const lanes = await createLanes(options);
  const each = Math.ceil(options.kills / lanes.length);
  await Promise.all(lanes.map((lane) => runLane(lane, each, { options, tally })));
  for (const lane of lanes) tally.tellings += lane.tellings();
  const { seen: _seen, ...counted } = tally;
  return { ...counted, wrongs: [...tally.wrongs] };
}

interface Running {
  readonly options: KillOptions;
  readonly tally: Tally;
}

async function runLane(lane: Lane, kills: number, { options, tally }: Running): Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;
  let last = 0;
  const change = (isBad: boolean): void => {
    last += 1;
    tally.changes += 1;
    if (isBad) tally.badChanges += 1;
    setSource(lane, last, isBad);
  };
  change(false);
  const reader = setInterval(() => readOnce(lane, tally), READ_MS);
  const changing = changeAtRandom(change, signal);
  for (let count = 0; count < kills; count += 1) {
    const sidecar = startSidecar(lane, options, tally);
    await sleep(lifeMs());
    await endBy(sidecar, 'SIGKILL');
    tally.kills += 1;
    options.onKill?.(tally.kills);
  }
  stopping.abort();
  await changing;
  change(false);
  await settle(lane, last, { options, tally });
  clearInterval(reader);
  lane.end();
}

/** Mostly short, so that every step is hit; sometimes long enough for a verdict and the way back. */
function lifeMs(): number {
  return Math.random() < 0.65 ? 150 + Math.random() * 900 : 1_000 + Math.random() * 4_500;
}

async function changeAtRandom(change: (isBad: boolean) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // A pause now and then, in which a bad one can be found out.
    const isBad = Math.random() < 0.25;
    change(isBad);
    await sleep(isBad ? 1_500 + Math.random() * 4_000 : 50 + Math.random() * 600);
  }
}

function setSource({ home }: Lane, value: number, isBad: boolean): void {
  const document = { value, pad: padOf(value), ...(isBad && { bad: true, dies: 30 }) };
  fs.writeFileSync(join(home, 'source.json.new'), `${JSON.stringify(document)}\n`);
  fs.renameSync(join(home, 'source.json.new'), join(home, 'source.json'));
}

function startSidecar(lane: Lane, { main }: KillOptions, tally: Tally): ChildProcess {
  const { home, isDirectory } = lane;
  const output = isDirectory
    ? { OUTPUT: `${lane.out}/`, TEMPLATE: join(home, 'templates') }
    : { OUTPUT: join(lane.out, 'app.json'), TEMPLATE: join(home, 'templates/app.json.liquid') };
  const env = {
    PATH: process.env['PATH'],
    SOURCE: join(home, 'source.json'),
    UPDATE_FREQUENCY: '1s',
    LISTEN: 'off',
    DEBOUNCE: '10ms',
    RELOAD_MIN_INTERVAL: '100ms',
    ...output,
    ...lane.hook,
  };
  const child = spawn(process.execPath, [main], { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) noteLine(lane, line, tally);
  });
  child.stderr.on('data', (chunk: Buffer) => tally.wrongs.add(`${lane.name}: ${chunk.toString().trim()}`));
  return child;
}

const OUTCOMES: readonly string[] = [
  ...[
    'applied',
    'picked-up',
    'refused',
    'target-died',
    'rolled-back',
    'rollback-failed',
    'blocked',
    'failed',
  ],
];

function noteLine(lane: Lane, line: string, tally: Tally): void {
  const { event, code, message } = JSON.parse(line) as Record<string, string>;
  if (event !== undefined && OUTCOMES.includes(event)) {
    tally.outcomes[event] = (tally.outcomes[event] ?? 0) + 1;
  }
  if (event === 'ledger damaged' && line.includes('"from":"damaged"'))
    tally.wrongs.add(`${lane.name}: ${line}`);
  if (code === 'internal' || code?.startsWith('publish.')) tally.wrongs.add(`${lane.name}: ${message}`);
}

async function endBy(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const ended = new Promise((resolve) => child.once('close', resolve));
  if (child.exitCode !== null) throw new Error(`A sidecar ended by itself with ${child.exitCode}`);
  child.kill(signal);
  await ended;
}

/** What a careful reader sees: one generation, by resolving `..data` once; null before there is one. */
function contentsOf({ out, isDirectory }: Lane): readonly Content[] | null {
  try {
    const root = isDirectory ? fs.realpathSync(join(out, '..data')) : out;
    const names = isDirectory ? ['app.json', 'second.json', 'third.json'] : ['app.json'];
    return names.map((name) => contentOf(fs.readFileSync(join(root, name), 'utf8')));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown;
    return null;
  }
}

function readOnce(lane: Lane, tally: Tally): void {
  tally.reads += 1;
  try {
    const contents = contentsOf(lane);
    if (contents === null) {
      if (tally.seen.has(lane.name)) tally.wrongs.add(`${lane.name}: what was there is missing`);
      return;
    }
    tally.seen.add(lane.name);
    if (new Set(contents.map(({ value }) => value)).size !== 1)
      tally.wrongs.add(`${lane.name}: files are mixed`);
  } catch (thrown) {
    tally.wrongs.add(`${lane.name}: a torn read: ${thrown}`);
  }
}

/** A last start, undisturbed: the last value arrives, the application is notified, and nothing is left over. */
async function settle(lane: Lane, last: number, { options, tally }: Running): Promise<void> {
  const sidecar = startSidecar(lane, options, tally);
  const deadline = Date.now() + SETTLE_MS;
  const isDone = (): boolean =>
    contentsOf(lane)?.[0]?.value === last && lane.told() === last && isKept(lane, last);
  while (!isDone() && Date.now() < deadline) await sleep(50);
  if (!isDone()) {
    const shown = contentsOf(lane)?.[0]?.value;
    tally.wrongs.add(
      `${lane.name}: ${last} did not arrive: ${shown} is shown, the application was last notified of ${lane.told()}`,
    );
  }
  await endBy(sidecar, 'SIGTERM');
  for (const wrong of leftOvers(lane)) tally.wrongs.add(`${lane.name}: left over: ${wrong}`);
}

function stateOf({ out, isDirectory }: Lane): string {
  return isDirectory ? join(out, '..config-sidecar/out') : join(out, '.config-sidecar/app.json');
}

/** Whether there is a copy of this value: it is known to work then. */
function isKept(lane: Lane, value: number): boolean {
  const folder = join(stateOf(lane), 'generations');
  const names = fs.existsSync(folder)
    ? fs.readdirSync(folder).filter((name) => /^\d+\.json$/.test(name))
    : [];
  return names.some((name) => fs.readFileSync(join(folder, name), 'utf8').includes(`\\"value\\":${value},`));
}

function leftOvers(lane: Lane): readonly string[] {
  const names = fs.readdirSync(lane.out);
  const ours = lane.isDirectory
    ? ['..config-sidecar', '..data', 'app.json', 'second.json', 'third.json']
    : ['.config-sidecar', 'app.json'];
  const generations = names.filter((name) => name.startsWith('..gen-'));
  const tooOld = generations.filter((name) => {
    const isCurrent = fs.readlinkSync(join(lane.out, '..data')) === name;
    return !isCurrent && Date.now() - fs.statSync(join(lane.out, name)).mtimeMs > OLDEST_GENERATION_MS;
  });
  const state = fs.readdirSync(stateOf(lane));
  const copies = fs.readdirSync(join(stateOf(lane), 'generations'));
  return [
    ...names.filter((name) => !ours.includes(name) && !generations.includes(name)),
    ...(tooOld.length > 0 ? [`${tooOld.length} generations that are older than four minutes`] : []),
    ...state.filter((name) => !['generations', 'ledger.0.json', 'ledger.1.json'].includes(name)),
    ...copies.filter((name) => !/^\d+\.json$/.test(name)),
    ...(copies.length > 5 ? [`${copies.length} copies`] : []),
  ];
}
