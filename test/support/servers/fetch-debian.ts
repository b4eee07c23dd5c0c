// Brings the files of Debian packages into the cache without installing them: no root, nothing outside the project.
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { CACHE } from './cache.ts';

const run = promisify(execFile);

/** What to fetch: package names, of a Debian release such as `bookworm`, into a folder that is not there yet. */
export interface Fetch {
  readonly packages: readonly string[];
  readonly suite: string;
  readonly into: string;
}

/**
 * Downloads the packages named, not what they depend on, and unpacks them into one folder: `<into>/usr/bin/…`. The folder
 * appears when it is complete. Throws with apt's own reason. Several may run at a time.
 */
export async function fetchDebian({ packages, suite, into }: Fetch): Promise<void> {
  const unfinished = `${into}.${process.pid}.tmp`;
  const archives = join(unfinished, 'archives');
  mkdirSync(archives, { recursive: true });
  try {
    await download(packages, suite, archives);
    for (const file of readdirSync(archives)) {
      if (file.endsWith('.deb')) await run('dpkg', ['-x', join(archives, file), unfinished]);
    }
    rmSync(archives, { recursive: true });
    anchorLinks(unfinished);
    renameSync(unfinished, into);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/** A link such as `/etc/java-17-openjdk/jvm.cfg` leads to that file of the packages, not to one of the machine. */
function anchorLinks(root: string): void {
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const link = join(entry.parentPath, entry.name);
    const target = readlinkSync(link);
    if (!isAbsolute(target) || !existsSync(join(root, target))) continue;
    rmSync(link);
    symlinkSync(relative(entry.parentPath, join(root, target)), link);
  }
}

async function download(packages: readonly string[], suite: string, into: string): Promise<void> {
  const words = ['download', ...packages];
  if (existsSync(join(aptHome(suite), 'updated'))) {
    try {
      return await aptGet(suite, words, into);
    } catch {
      // The lists of packages are too old to name a file that is still there.
    }
  }
  await update(suite);
  await aptGet(suite, words, into);
}

const updates = new Map<string, Promise<void>>();

/** Reads the lists of a release, once in this process. */
function update(suite: string): Promise<void> {
  const running = updates.get(suite) ?? updateNow(suite);
  updates.set(suite, running);
  return running;
}

async function updateNow(suite: string): Promise<void> {
  const home = aptHome(suite);
  await aptGet(suite, ['update'], '/');
  writeFileSync(join(home, 'updated'), '');
}

async function aptGet(suite: string, words: readonly string[], cwd: string): Promise<void> {
  try {
    await run('apt-get', [...aptOptions(suite), ...words], { cwd, env: { ...process.env, LC_ALL: 'C' } });
  } catch (thrown) {
    const { stderr = '', message } = thrown as Error & { readonly stderr?: string };
    const [reason = message] = /^E: .*$/m.exec(stderr) ?? [];
    throw new Error(reason.replace(/^E: /, ''), { cause: thrown });
  }
}

function aptHome(suite: string): string {
  return join(CACHE, 'apt', suite);
}

/** Options that give apt lists and caches of its own, and the machine's own mirror with the suite replaced. */
function aptOptions(suite: string): string[] {
  const home = aptHome(suite);
  for (const part of ['parts', 'lists/partial', 'cache/archives/partial', 'state']) {
    mkdirSync(join(home, part), { recursive: true });
  }
  const [name, stanza] = ownStanza(suite);
  writeIfOther(join(home, 'parts', name), stanza);
  // With the machine's own list apt would ask for the version that is installed, which the archive need not have.
  const status = join(home, 'state/status');
  writeIfOther(status, '');
  const options = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(home, 'parts'),
    'Dir::State': join(home, 'state'),
    'Dir::State::lists': join(home, 'lists'),
    'Dir::State::status': status,
    'Dir::Cache': join(home, 'cache'),
    'APT::Get::List-Cleanup': '0',
    'APT::Sandbox::User': '',
    'APT::Update::Post-Invoke': '',
    'APT::Update::Post-Invoke-Success': '',
    // An index that cannot be had is an error, not a warning.
    'APT::Update::Error-Mode': 'any',
    'Acquire::Languages': 'none',
    'Acquire::Check-Valid-Until': 'false',
    'Acquire::Retries': '2',
    'Acquire::http::Timeout': '15',
    'Acquire::https::Timeout': '15',
  };
  return ['-qq', ...Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`])];
}

/** A file that changes makes apt read everything again. */
function writeIfOther(path: string, text: string): void {
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text);
}

/** File name and text of the machine's first package source for Debian's main archive, with the suite replaced. */
function ownStanza(suite: string): readonly [string, string] {
  const parts = '/etc/apt/sources.list.d';
  const names = existsSync(parts) ? readdirSync(parts).sort() : [];
  for (const file of ['/etc/apt/sources.list', ...names.map((name) => join(parts, name))]) {
    if (!/\.(list|sources)$/.test(file) || !existsSync(file)) continue;
    const text = readFileSync(file, 'utf8');
    if (file.endsWith('.sources')) {
      const stanza = text.split(/\n\s*\n/).find((one) => isMain(/^Suites:(.*)$/m.exec(one)?.[1], one));
      if (stanza !== undefined) {
        return [
          'debian.sources',
          `${stanza
            .trim()
            .replace(/^Suites:.*$/m, `Suites: ${suite}`)
            .replace(/^Components:.*$/m, 'Components: main')}\n`,
        ];
      }
    }
    const line = /^deb(\s+\[[^\]]*\])?\s+(\S+)\s+(\S+)\s+(.*)$/gm;
    for (const [, flags = '', mirror, release, components = ''] of text.matchAll(line)) {
      if (isMain(release, `Types: deb\nComponents: ${components}`)) {
        return ['debian.list', `deb${flags} ${mirror} ${suite} main\n`];
      }
    }
  }
  throw new Error('no Debian package source found below /etc/apt');
}

/** Security and update archives have suites with a dash and do not hold every package. */
function isMain(suites: string | undefined, stanza: string): boolean {
  const first = suites?.trim().split(/\s+/)[0] ?? '';
  return (
    /^[a-z]+$/.test(first) &&
    /^Types:.*\bdeb\b/m.test(stanza) &&
    /^Components:.*\bmain\b/m.test(stanza) &&
    !/^Enabled:\s*no/im.test(stanza)
  );
}
