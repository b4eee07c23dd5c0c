// Images that the files of one run share: the first that asks makes one, the others wait for it. The run removes them at its end.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { locked } from '../servers/fetch-lock.ts';

const run = promisify(execFile);

const PREFIX = 'localhost/test-run-';

/** Set by the setup of a run: files that are run without one share nothing with others. */
const RUN = 'CONFIG_SIDECAR_TEST_RUN';

/**
 * The name of an image that is there. `what` says all that it depends on; `make` makes it under the name it is given, unless
 * this run has made it already.
 */
export async function sharedImage(what: string, make: (tag: string) => Promise<void>): Promise<string> {
  const tag = `${PREFIX}${process.env[RUN] ?? process.pid}-${shortDigest(what)}`;
  if (!(await isThere(tag))) {
    await locked(
      async () => {
        if (!(await isThere(tag))) await make(tag);
      },
      `image-${shortDigest(tag)}`,
    );
  }
  return tag;
}

/** Begins a run, which this process is; removes what earlier runs left that were killed. */
export async function beginSharedImages(): Promise<void> {
  process.env[RUN] = String(process.pid);
  await remove((pid) => pid !== process.pid && !isRunning(pid));
}

/** Removes the images of this run. */
export async function endSharedImages(): Promise<void> {
  await remove((pid) => pid === process.pid);
}

async function remove(isOver: (pid: number) => boolean): Promise<void> {
  const { stdout } = await run('podman', ['images', '--format', '{{.Repository}}']).catch(() => ({
    stdout: '',
  }));
  const tags = stdout.split('\n').filter((tag) => {
    const pid = /^test-run-(\d+)-/.exec(tag.slice('localhost/'.length))?.[1];
    return pid !== undefined && isOver(Number(pid));
  });
  if (tags.length > 0) await run('podman', ['rmi', '-f', ...new Set(tags)]).catch(() => undefined);
}

async function isThere(tag: string): Promise<boolean> {
  return await run('podman', ['image', 'exists', tag]).then(
    () => true,
    () => false,
  );
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function shortDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
