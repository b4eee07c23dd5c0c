// One process at a time does certain work for a checkout, such as fetching into its cache; the lock of one that was killed is
// taken over.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CACHE } from './cache.ts';

/** Longest wait for the work of another. */
const PATIENCE_MS = 600_000;

/** Does the work while no other process does work of this name. */
export async function locked<T>(work: () => Promise<T>, name = 'fetch'): Promise<T> {
  mkdirSync(CACHE, { recursive: true });
  const lock = join(CACHE, `${name}.lock`);
  const deadline = Date.now() + PATIENCE_MS;
  for (let isFirst = true; !tryLock(lock); isFirst = false) {
    if (isFirst && name === 'fetch') console.log(`Waiting for another run that is fetching into ${CACHE}`);
    if (Date.now() > deadline)
      throw new Error(`Cannot ${name}: "${lock}" stays locked. Remove it and try again.`);
    await sleep(100);
  }
  try {
    return await work();
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
    if (owner > 0 && !existsSync(`/proc/${owner}`)) removeStale(lock);
    return false;
  }
}

/** Renames first: of several that see the dead owner only one can take its lock away. */
function removeStale(lock: string): void {
  const grave = `${lock}.${process.pid}`;
  try {
    renameSync(lock, grave);
    rmSync(grave);
  } catch {
    // Another run was faster.
  }
}
