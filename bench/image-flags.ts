// What `npm run bench -- image` prints: what the image's sidecar weighs at rest, with each start-up flag and
// without, in containers made of the real Dockerfile. All variants of a round run side by side, so noise hits all of them.
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { openPodman, type Podman } from '../test/support/servers/podman.ts';

/** A way to start the program: flags of Node.js, and variables of the environment. */
interface Variant {
  readonly name: string;
  readonly flags: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A source that every variant follows, and what changes it. */
export interface ChangingSource {
  /** As `SOURCE` takes it; a file of this machine by its absolute path. */
  readonly source: string;
  readonly put: (value: string) => void | Promise<void>;
}

/** At rest after the start, and once more after the changes. MiB, except `threads` and `cpu`. */
interface Weight extends Memory {
  readonly worked: number;
  /** Milliseconds on the processor for each change. */
  readonly cpu: number;
}

interface Memory {
  readonly rss: number;
  readonly pss: number;
  readonly anonymous: number;
  readonly threads: number;
  /** Of the container's whole control group (Node.js, tini and the kernel's share), file cache left out. */
  readonly group: number;
}

export interface MeasureFlags {
  /** Holds `Dockerfile`, `package.json` and `dist`. */
  readonly context: string;
  /** The binary of Node.js that goes into the image. */
  readonly node: string;
  /** An empty directory to work in. */
  readonly folder: string;
  /** Sources by name, which can be reached from this machine. */
  readonly sources: Readonly<Record<string, ChangingSource>>;
  readonly rounds: number;
}

const MAIN = '/opt/config-sidecar/dist/main.js';
const YOUNG = '--max-semi-space-size=1';
const POOL = '--v8-pool-size=1';
const KEPT = [YOUNG, POOL];

const VARIANTS: readonly Variant[] = [
  { name: 'no flags', flags: [] },
  { name: YOUNG, flags: [YOUNG] },
  { name: POOL, flags: [POOL] },
  { name: 'both', flags: KEPT },
  { name: `${POOL} --optimize-for-size`, flags: [POOL, '--optimize-for-size'] },
  ...[
    '--optimize-for-size',
    '--lite-mode',
    '--max-lazy',
    '--no-opt',
    '--jitless',
    '--single-threaded',
    '--max-old-space-size=64',
  ].map((flag) => ({ name: `both, ${flag}`, flags: [...KEPT, flag] })),
  ...Object.entries({ UV_THREADPOOL_SIZE: '1', MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' }).map(
    ([name, value]) => ({ name: `both, ${name}=${value}`, flags: KEPT, env: { [name]: value } }),
  ),
];

/** The garbage collector gives memory back after some quiet seconds. */
const REST_MS = 15_000;
const PATIENCE_MS = 120_000;
const CHANGES = 200;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Prints a table for each source: medians over all rounds. */
export async function measureFlags({ context, node, folder, sources, rounds }: MeasureFlags): Promise<void> {
  const podman = openPodman();
  const [base, image] = [`localhost/bench-node-${process.pid}`, `localhost/bench-image-${process.pid}`];
  try {
    await podman.makeNodeImage(base, node);
    const build = ['build', '--format', 'docker', '--network', 'none', '--build-arg', `NODE_IMAGE=${base}`];
    await podman.must(...build, '-t', image, context);
    const version = (await podman.must('run', '--rm', '--entrypoint', 'node', image, '--version')).trim();
    for (const [name, source] of Object.entries(sources)) {
      const weights = VARIANTS.map((): Weight[] => []);
      for (let round = 0; round < rounds; round += 1) {
        const found = await weighAll(podman, { image, ...source, folder: join(folder, `${name}-${round}`) });
        found.forEach((weight, at) => {
          weights[at]?.push(weight);
        });
      }
      print(
        `Node ${version}, ${name} source, medians of ${rounds}: MiB at rest, anonymous after ${CHANGES} changes, ms of CPU each`,
        weights,
      );
    }
  } finally {
    await podman.run('rmi', '-f', image, base);
    podman.close();
  }
}

interface Round extends ChangingSource {
  readonly image: string;
  readonly folder: string;
}

/** One container for each variant, all at the same time, and every change is one for all. */
async function weighAll(podman: Podman, round: Round): Promise<readonly Weight[]> {
  const names = VARIANTS.map((_, at) => `bench-${process.pid}-${at}`);
  const outputs = VARIANTS.map((variant) => join(outputOf(round, variant), 'app.txt'));
  const change = async (value: string): Promise<void> => {
    await round.put(value);
    await published(outputs, value);
  };
  try {
    await round.put('start');
    for (const [at, variant] of VARIANTS.entries()) await start(podman, names[at] ?? '', variant, round);
    await published(outputs, 'start');
    await sleep(REST_MS);
    const pids = await Promise.all(names.map((name) => nodeOf(podman, name)));
    const [rest, before] = [pids.map(memoryOf), pids.map(cpuMs)];
    for (let i = 0; i < CHANGES; i += 1) await change(`value ${i}`);
    const after = pids.map(cpuMs);
    await sleep(REST_MS);
    return rest.map((memory, at) => ({
      ...memory,
      worked: memoryOf(pids[at] ?? 0).anonymous,
      cpu: ((after[at] ?? 0) - (before[at] ?? 0)) / CHANGES,
    }));
  } finally {
    await podman.run('rm', '-f', '-t', '0', ...names);
  }
}

const outputOf = ({ folder }: Round, { name }: Variant): string => join(folder, name.replaceAll(/\W+/g, '-'));

async function start(podman: Podman, name: string, variant: Variant, round: Round): Promise<void> {
  const output = outputOf(round, variant);
  fs.mkdirSync(output, { recursive: true });
  fs.chmodSync(output, 0o777);
  const isFile = round.source.startsWith('/');
  const variables = {
    SOURCE: isFile ? '/in/value.txt' : round.source,
    OUTPUT: '/live/app.txt',
    LISTEN: '127.0.0.1:0',
    DEBOUNCE: '0s',
    RELOAD_MIN_INTERVAL: '0s',
    ...variant.env,
  };
  await podman.must(
    ...['run', '-d', '--name', name, '--network', 'host', '--read-only', '--cap-drop', 'ALL'],
    ...['-v', `${output}:/live`, ...(isFile ? ['-v', `${dirname(round.source)}:/in:ro`] : [])],
    ...Object.entries(variables).flatMap(([key, value]) => ['-e', `${key}=${value}`]),
    ...['--entrypoint', JSON.stringify(['tini', '-s', '--', 'node', ...variant.flags, MAIN, 'run'])],
    round.image,
  );
}

async function published(files: readonly string[], value: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  const isThere = (file: string): boolean => fs.existsSync(file) && fs.readFileSync(file, 'utf8') === value;
  while (!files.every(isThere)) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for "${value}"`);
    await sleep(10);
  }
}

const read = (path: string): string => fs.readFileSync(path, 'utf8');

/** The number of Node.js, which is the only child of the container's first process. */
async function nodeOf(podman: Podman, name: string): Promise<number> {
  const first = (await podman.must('inspect', name, '--format', '{{.State.Pid}}')).trim();
  return Number(read(`/proc/${first}/task/${first}/children`).trim().split(' ')[0]);
}

function memoryOf(pid: number): Memory {
  const memory = read(`/proc/${pid}/smaps_rollup`);
  const mib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(memory)?.[1]) / 1024;
  return {
    rss: mib('Rss'),
    pss: mib('Pss'),
    anonymous: mib('Anonymous'),
    threads: fs.readdirSync(`/proc/${pid}/task`).length,
    group: groupMemory(read(`/proc/${pid}/cgroup`)),
  };
}

/** The kernel counts in hundredths of a second. */
function cpuMs(pid: number): number {
  const fields = read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Where memory is counted by the old kind of control group, that one is asked; else the new kind. */
function groupMemory(groups: string): number {
  const old = /^\d+:memory:(.*)$/m.exec(groups)?.[1];
  const folder =
    old === undefined ? `/sys/fs/cgroup${/^0::(.*)$/m.exec(groups)?.[1]}` : `/sys/fs/cgroup/memory${old}`;
  const total = Number(read(join(folder, old === undefined ? 'memory.current' : 'memory.usage_in_bytes')));
  const cache = /^(?:file|total_cache) (\d+)$/m.exec(read(join(folder, 'memory.stat')))?.[1];
  return (total - Number(cache)) / 1024 / 1024;
}

function print(title: string, weights: readonly (readonly Weight[])[]): void {
  const columns = ['rss', 'pss', 'anonymous', 'group', 'worked', 'cpu', 'threads'] as const;
  console.log(`\n${title}`);
  console.log(''.padEnd(44) + columns.map((column) => column.padStart(11)).join(''));
  VARIANTS.forEach(({ name }, at) => {
    const cells = columns.map((column) => median((weights[at] ?? []).map((weight) => weight[column])));
    console.log(name.padEnd(44) + cells.map((cell) => cell.toFixed(1).padStart(11)).join(''));
  });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
