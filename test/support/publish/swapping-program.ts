// An attacker: gives a name to a link (or a pipe) and back to what had it, as fast as it can, until it is killed.
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';

export interface SwapOrder {
  /** The name that is fought for. */
  readonly place: string;
  /** Where what belongs there waits meanwhile; on the same file system. */
  readonly aside: string;
  /** Where the trap waits; on the same file system. */
  readonly trap: string;
  /** What the trap is: a link to this path, or a pipe. */
  readonly leadsTo: string | null;
  /** Makes an empty directory at the place when there is none left. */
  readonly remakes?: boolean;
}

const { place, aside, trap, leadsTo, remakes = false } = JSON.parse(process.argv[2] ?? '') as SwapOrder;

const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Puts everything where a round begins, whatever the other side has removed. */
function prepare(): void {
  if (isThere(aside) && !isThere(place)) renameSync(aside, place);
  if (remakes && !isThere(place)) mkdirSync(place, { recursive: true });
  if (isThere(trap)) return;
  if (leadsTo === null) execFileSync('mkfifo', [trap]);
  else symlinkSync(leadsTo, trap);
}

function swap(): void {
  renameSync(place, aside);
  renameSync(trap, place);
  renameSync(place, trap);
  if (!existsSync(place)) renameSync(aside, place);
}

process.stdout.write('swapping\n');
for (;;) {
  try {
    swap();
  } catch {
    try {
      prepare();
    } catch {
      // The other side was faster; the next round tries again.
      rmSync(aside, { recursive: true, force: true });
    }
  }
}
