// The campaign against files in three layouts: one document, a plain directory, and the `..data` layout of mounted
// ConfigMaps; written in every way programs do it, moved away, removed and made again.
import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Content, Provider } from '../../src/source/provider.ts';
import { type Place, runCampaign, type ServerFault } from '../support/campaign/campaign.ts';
import { type State, show, stateOfTree } from '../support/campaign/history.ts';
import type { Change } from '../support/campaign/sequence.ts';
import { openFile } from '../support/source/open.ts';
import { providerOptions } from '../support/source/provider-contract.ts';

/** One of the layouts, in a directory of its own that may be moved away as a whole. */
interface Layout {
  /** What is followed. */
  readonly path: string;
  /** What is removed and made again: the directory that holds it. */
  readonly root: string;
  write(changes: readonly Change[]): Promise<void>;
  read(): State;
  readonly decode: (content: Content) => State;
}

let top = '';
beforeAll(() => {
  top = mkdtempSync(join(tmpdir(), 'campaign-file-'));
});
afterAll(() => rmSync(top, { recursive: true, force: true }));

/** Between two system calls of a writer, so that the follower may look in any state between them. */
const pause = (): Promise<void> => sleep(Math.random() * 6);

/** Emptied, then written in two parts, where it lies. */
async function writeInPlace(path: string, text: string): Promise<void> {
  const file = openSync(path, 'w');
  const half = Math.ceil(text.length / 2);
  for (const part of [text.slice(0, half), text.slice(half)]) {
    await pause();
    if (part !== '') writeSync(file, part);
  }
  closeSync(file);
}

async function renameOver(path: string, text: string): Promise<void> {
  await writeInPlace(`${path}.tmp`, text);
  renameSync(`${path}.tmp`, path);
}

/** Ways to write a file, taken in turn. */
const WAYS: readonly ((path: string, text: string) => Promise<void>)[] = [
  renameOver,
  writeInPlace,
  async (path, text) => {
    rmSync(path, { force: true });
    await pause();
    await writeInPlace(path, text);
  },
  // As editors do: the old one becomes the backup, by another name first.
  async (path, text) => {
    rmSync(`${path}~`, { force: true });
    if (existsSync(path)) renameSync(path, `${path}~`);
    await pause();
    await writeInPlace(path, text);
  },
  async (path, text) => {
    rmSync(`${path}~`, { force: true });
    if (existsSync(path)) linkSync(path, `${path}~`);
    await renameOver(path, text);
  },
];

function document(at: number): Layout {
  const root = join(top, `document-${at}`);
  const path = join(root, 'app.json');
  mkdirSync(root);
  let writes = at;
  let state: State = {};
  const read = (): State => state;
  writeFileSync(path, '{}');
  const write = async (changes: readonly Change[]): Promise<void> => {
    state = changed(state, changes);
    await WAYS[writes++ % WAYS.length]?.(path, JSON.stringify(state));
  };
  const decode = (content: Content): State => {
    if (content.kind !== 'document') throw new Error(`Expected a document, got "${content.kind}"`);
    return JSON.parse(Buffer.from(content.bytes).toString());
  };
  return { path, root, write, read, decode };
}

function directory(at: number): Layout {
  const root = join(top, `directory-${at}`);
  mkdirSync(root);
  let writes = at;
  const write = async (changes: readonly Change[]): Promise<void> => {
    for (const { key, value } of changes) {
      await pause();
      const path = join(root, key);
      if (value === null) removeKey(root, path);
      else {
        mkdirSync(dirname(path), { recursive: true });
        await WAYS[writes++ % WAYS.length]?.(path, value);
      }
    }
  };
  return { path: root, root, write, read: () => stateOfFiles(root), decode: stateOfTree };
}

function removeKey(root: string, path: string): void {
  rmSync(path, { force: true });
  // Empty directories are taken away now and then, by one writer or another.
  const parent = dirname(path);
  if (parent !== root && existsSync(parent) && readdirSync(parent).length === 0)
    rmSync(parent, { recursive: true });
}

/** As the kubelet does it: a directory for each generation, a link to the newest, swapped by one rename. */
function configMap(at: number): Layout {
  const root = join(top, `config-map-${at}`);
  mkdirSync(root);
  let [generation, state]: [number, State] = [0, {}];
  const swap = (): void => {
    symlinkSync(`..2026_${generation}`, join(root, '..data_tmp'));
    renameSync(join(root, '..data_tmp'), join(root, '..data'));
  };
  const write = async (changes: readonly Change[]): Promise<void> => {
    state = changed(state, changes);
    const name = `..2026_${++generation}`;
    mkdirSync(join(root, name));
    for (const [key, value] of Object.entries(state)) {
      mkdirSync(dirname(join(root, name, key)), { recursive: true });
      await writeInPlace(join(root, name, key), value);
    }
    swap();
    await pause();
    relink(root, state);
    await pause();
    rmSync(join(root, `..2026_${generation - 1}`), { recursive: true, force: true });
  };
  mkdirSync(join(root, '..2026_0'));
  swap();
  return { path: root, root, write, read: () => state, decode: stateOfTree };
}

/** The visible names lead through `..data`: new ones are added, then those that lead nowhere are removed. */
function relink(root: string, state: State): void {
  const wanted = new Set(Object.keys(state).map((key) => key.split('/', 1)[0] ?? ''));
  const visible = readdirSync(root).filter((name) => !name.startsWith('..'));
  for (const name of wanted) if (!visible.includes(name)) symlinkSync(`..data/${name}`, join(root, name));
  for (const name of visible) if (!wanted.has(name)) unlinkSync(join(root, name));
}

function changed(state: State, changes: readonly Change[]): State {
  const next = new Map(Object.entries(state));
  for (const { key, value } of changes) value === null ? next.delete(key) : next.set(key, value);
  return Object.fromEntries(next);
}

function stateOfFiles(root: string): State {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => !/(~|\.tmp)$/.test(name) && statSync(join(root, name)).isFile());
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(root, name), 'utf8')]));
}

/** What happens to the place as a whole; what it holds stays. */
function faultsOf({ root, path }: Layout): Readonly<Record<string, ServerFault>> {
  const away = `${root}.away`;
  const keeping = (work: () => unknown): ServerFault => ({
    keepsData: true,
    run: async () => {
      await work();
      return [];
    },
  });
  // Not while something is written: there is no place to write to.
  const alone = (work: () => unknown): ServerFault => ({ ...keeping(work), keepsData: false });
  return {
    'moved away and back': alone(async () => {
      renameSync(root, away);
      await sleep(20);
      renameSync(away, root);
    }),
    'away for long': alone(async () => {
      renameSync(root, away);
      await sleep(400);
      renameSync(away, root);
    }),
    'replaced by a copy': alone(() => {
      copyTree(root, `${root}.copy`);
      renameSync(root, away);
      renameSync(`${root}.copy`, root);
      rmSync(away, { recursive: true });
    }),
    touched: alone(() => utimesSync(path, new Date(), new Date())),
    'set back in time': alone(() => utimesSync(path, 1_000_000_000, 1_000_000_000)),
    neighbours: keeping(async () => {
      for (let round = 0; round < 20; round++) writeFileSync(join(root, `.noise-${round}.swp`), `${round}`);
      for (let round = 0; round < 20; round++) unlinkSync(join(root, `.noise-${round}.swp`));
    }),
  };
}

/** With its links as links, which lead within it. */
function copyTree(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) copyTree(source, target);
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target);
    else writeFileSync(target, readFileSync(source));
  }
}

/** A revision is a digest: it must never stand for two states. */
function checked(provider: Provider, decode: (content: Content) => State): Provider {
  const states = new Map<string, string>();
  return {
    source: provider.source,
    async *watch(signal) {
      for await (const observation of provider.watch(signal)) {
        if (observation.kind === 'snapshot') {
          const { revision, content } = observation.snapshot;
          const state = show(decode(content));
          if ((states.get(revision) ?? state) !== state) throw new Error(`Two states at ${revision}`);
          states.set(revision, state);
        }
        yield observation;
      }
    },
  };
}

/** The interval is so long that only the watch can bring a change. */
function placeOf(layout: Layout): Place {
  const options = providerOptions({ updateFrequencyMs: 600_000, fetchTimeoutMs: 3_000 });
  return {
    provider: checked(openFile(layout.path, options), layout.decode),
    proxy: null,
    write: async (changes) => {
      await layout.write(changes);
      return null;
    },
    current: async () => layout.read(),
    decode: layout.decode,
    serverFaults: faultsOf(layout),
    close: async () => rmSync(layout.root, { recursive: true, force: true }),
  };
}

describe('files under generated writes and faults', () => {
  const layouts = [
    ['document', document, 'whole'],
    ['directory', directory, 'per-key'],
    ['..data directory', configMap, 'whole'],
  ] as const;
  it.each(layouts)(
    'a %s ends equal to what was written',
    async (name, make, promise) => {
      const serverFaults = [
        'moved away and back',
        'away for long',
        'replaced by a copy',
        'touched',
        'set back in time',
        'neighbours',
      ];
      const report = await runCampaign({
        name: `file, ${name}`,
        open: async (at) => placeOf(make(at)),
        promise,
        sequences: 200,
        proxyFaults: [],
        serverFaults,
      });
      expect(report.snapshots).toBeGreaterThan(report.sequences);
      expect(Object.keys(report.faults)).toEqual(expect.arrayContaining(serverFaults));
    },
    300_000,
  );
});
