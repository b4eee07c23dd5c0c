// How long the sidecar's event loop stands still while one of 10,000 keys changes, and what it weighs then.
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';

/** A store that can be filled. */
export interface FilledStore {
  readonly name: string;
  /** The source of all keys that begin with `prefix`, which ends with a slash. */
  readonly source: (prefix: string) => string;
  readonly put: (key: string, value: string) => Promise<void>;
  readonly putAll: (values: Readonly<Record<string, string>>) => Promise<void>;
}

export interface Stalls {
  readonly store: string;
  readonly output: OutputKind;
  /** Of every change, and of the time at rest after them, the longest stall: milliseconds on the processor. */
  readonly cpuMs: { readonly changes: readonly number[]; readonly rest: number };
  /** The same by the clock, which counts what other processes took too. */
  readonly wallMs: { readonly changes: readonly number[]; readonly rest: number };
  /** From the put to the new value on the volume. */
  readonly tookMs: readonly number[];
  /** Anonymous memory in MiB, after the start and after all changes. */
  readonly anonymous: { readonly before: number; readonly after: number };
}

export const OUTPUTS = ['json', 'template', 'directory'] as const;
export type OutputKind = (typeof OUTPUTS)[number];

export interface MeasureStalls {
  /** The built program. */
  readonly main: string;
  /** The script to load into it, `stall-probe.mjs`. */
  readonly probe: string;
  /** An empty directory to work in. */
  readonly folder: string;
  readonly changes: number;
  readonly anonymousOf: (pid: number) => number;
}

const KEYS = 10_000;
const VALUE_BYTES = 100;
/** After a change the loop is watched for this long: the copy for going back is made then. */
const AFTER_MS = 300;
/** Long enough for the source to be read whole again, and for the volume to be looked at. */
const REST_MS = 12_000;
const TEMPLATE = '{% for entry in sidecar.entries %}{{ entry.key }} = {{ entry.value }}\n{% endfor %}';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Keys as they are given to a store: many folders with some names each. */
const keyOf = (at: number): string => `folder-${at % 100}/name-${String(at).padStart(5, '0')}`;

/** Text of the wanted length. */
const valueFrom = (text: string): string => text.padEnd(VALUE_BYTES, '.');

/** Puts the keys below a prefix. */
export async function fill(store: FilledStore, prefix: string): Promise<void> {
  const keys = Array.from({ length: KEYS }, (_, at) => [`${prefix}${keyOf(at)}`, valueFrom(`value ${at}`)]);
  await store.putAll(Object.fromEntries(keys));
}

/** Follows a filled prefix and changes one key again and again. */
export async function measureStalls(
  store: FilledStore,
  prefix: string,
  output: OutputKind,
  options: MeasureStalls,
): Promise<Stalls> {
  const { folder, changes, anonymousOf } = options;
  const target = join(folder, output === 'json' ? 'all.json' : output === 'template' ? 'all.conf' : 'all/');
  if (output === 'directory') fs.mkdirSync(target);
  const template = join(folder, 'all.liquid');
  fs.writeFileSync(template, TEMPLATE);
  const key = keyOf(KEYS >> 1);
  const shown = output === 'directory' ? join(target, key) : target;
  await store.put(`${prefix}${key}`, valueFrom('before'));
  const child = startSidecar(options, {
    SOURCE: store.source(prefix),
    OUTPUT: target,
    ...(output === 'template' && { TEMPLATE: template }),
  });
  try {
    await seen(shown, 'before.');
    await sleep(3_000);
    const before = anonymousOf(child.pid ?? 0);
    const stalls: Longest[] = [];
    const tookMs: number[] = [];
    for (let at = 0; at < changes; at += 1) {
      child.send('begin');
      const startedAt = performance.now();
      await store.put(`${prefix}${key}`, valueFrom(`change ${at}`));
      await seen(shown, `change ${at}.`);
      tookMs.push(performance.now() - startedAt);
      await sleep(AFTER_MS);
      stalls.push(await report(child));
    }
    await sleep(REST_MS);
    const rest = await report(child);
    return {
      ...{ store: store.name, output, tookMs },
      cpuMs: { changes: stalls.map(({ cpuMs }) => cpuMs), rest: rest.cpuMs },
      wallMs: { changes: stalls.map(({ wallMs }) => wallMs), rest: rest.wallMs },
      anonymous: { before, after: anonymousOf(child.pid ?? 0) },
    };
  } finally {
    child.kill('SIGKILL');
  }
}

function startSidecar({ main, probe }: MeasureStalls, env: Readonly<Record<string, string>>): ChildProcess {
  return spawn(process.execPath, ['--import', probe, main], {
    env: {
      ...{ PATH: process.env['PATH'], LISTEN: 'off', LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'error' },
      ...{ DEBOUNCE: '0s', RELOAD_MIN_INTERVAL: '0s', UPDATE_FREQUENCY: '10s', ...env },
    },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

interface Longest {
  readonly wallMs: number;
  readonly cpuMs: number;
}

function report(child: ChildProcess): Promise<Longest> {
  return new Promise((resolve) => {
    child.once('message', (longest) => resolve(longest as Longest));
    child.send('report');
  });
}

/** Asks often, but reads a file of a megabyte only when another one has its name. */
async function seen(path: string, text: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (let before: number | undefined; ; await sleep(2)) {
    const there = fs.statSync(path, { throwIfNoEntry: false })?.ino;
    if (there !== undefined && there !== before && readIfThere(path).includes(text)) return;
    before = there;
    if (Date.now() > deadline) throw new Error(`Waited in vain for "${text}" in ${path}`);
  }
}

function readIfThere(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
