// Brings the files of Debian packages into `.cache/` without installing them: no root, nothing outside the project.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The project's own folder for what tests fetch; git ignores it. */
export const CACHE = new URL('../../../.cache/', import.meta.url).pathname;

/** Longest time one package fetch may take, waiting for another run's fetch included. */
const PATIENCE_MS = 300_000;

/**
 * Downloads the packages named (not what they depend on) and unpacks them into one root folder, whose path it
 * returns: `<root>/usr/bin/…`. Does nothing when that was done before. `suite` is a Debian release name
 * (`bullseye`); without it the machine's own.
 */
export async function fetchDebian(packages: readonly string[], suite = ownSuite()): Promise<string> {
  const root = debianRoot(packages, suite);
  if (existsSync(root)) return root;
  await locked(async () => {
    if (existsSync(root)) return;
    const unpacked = `${root}.${process.pid}.tmp`;
    try {
      await download(packages, suite, unpacked);
      renameSync(unpacked, root);
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      throw new Error(
        `Cannot fetch Debian packages "${packages.join(' ')}" of ${suite}: ${reason.trim()}\n` +
          'Install the programs so that they are on PATH, or give this machine a working Debian package source.',
        { cause: thrown },
      );
    } finally {
      rmSync(unpacked, { recursive: true, force: true });
    }
  });
  return root;
}

/** Where `fetchDebian` puts these packages; the folder exists when they are complete. */
export function debianRoot(packages: readonly string[], suite = ownSuite()): string {
  return join(CACHE, 'debian', `${suite}-${packages.join('+')}`);
}

function ownSuite(): string {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(release)?.[1] ?? 'stable';
}

async function download(packages: readonly string[], suite: string, into: string): Promise<void> {
  const apt = aptRoot(suite);
  const archives = join(into, 'archives');
  mkdirSync(archives, { recursive: true });
  const aptGet = (...words: string[]) => run('apt-get', [...apt, ...words], { cwd: archives });
  try {
    await aptGet('download', ...packages);
  } catch {
    // The lists of packages are missing, or too old to name a file that is still there.
    await aptGet('update');
    await aptGet('download', ...packages);
  }
  for (const file of readdirSync(archives)) {
    if (file.endsWith('.deb')) await run('dpkg', ['-x', join(archives, file), into]);
  }
  rmSync(archives, { recursive: true });
}

/** Options that give apt lists and caches of its own, and the machine's own mirror with the suite replaced. */
function aptRoot(suite: string): string[] {
  const home = join(CACHE, 'apt', suite);
  for (const part of ['parts', 'lists/partial', 'cache/archives/partial', 'state']) {
    mkdirSync(join(home, part), { recursive: true });
  }
  const [name, stanza] = ownStanza(suite);
  writeFileSync(join(home, 'parts', name), stanza);
  // With the machine's own list apt would ask for the version that is installed, which the archive need not have.
  const status = join(home, 'state/status');
  writeFileSync(status, '');
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
    'Acquire::Languages': 'none',
    'Acquire::Check-Valid-Until': 'false',
    'Acquire::Retries': '3',
  };
  return ['-qq', ...Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`])];
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

/** One fetch at a time on this checkout; the lock of a run that was killed is taken over. */
async function locked(work: () => Promise<void>): Promise<void> {
  mkdirSync(join(CACHE, 'debian'), { recursive: true });
  const lock = join(CACHE, 'fetch.lock');
  const deadline = Date.now() + PATIENCE_MS;
  while (!tryLock(lock)) {
    if (Date.now() > deadline) throw new Error(`Cannot fetch Debian packages: "${lock}" stays locked`);
    await sleep(100);
  }
  try {
    await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function tryLock(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    const owner = Number(existsSync(lock) ? readFileSync(lock, 'utf8') : 0);
    if (owner > 0 && !existsSync(`/proc/${owner}`)) {
      // Renaming first: of several that see the dead owner only one can take its lock away.
      const grave = `${lock}.${process.pid}`;
      try {
        renameSync(lock, grave);
        rmSync(grave);
      } catch {
        return false;
      }
    }
    return false;
  }
}
