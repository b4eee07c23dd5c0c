// The state directory while it is ours: its lock, and the ledger on the disk.

import { type SidecarError, toSidecarError } from '../lib/errors.ts';
import { CopyFolder } from './kept-generations.ts';
import { EMPTY_LEDGER, type Ledger } from './ledger.ts';
import { writeLedger } from './ledger-file.ts';
import type { StateDirectory } from './state-directory.ts';

/** `flushed`: it outlives a crash of the machine, not only of this process. */
export type Durability = 'written' | 'flushed';

export class Store {
  readonly directory: string;
  /** The copies of what the ledger keeps. */
  readonly copies = new CopyFolder(() => this.held);
  readonly #open: () => Promise<StateDirectory>;
  #held: StateDirectory | null = null;
  #saved: Ledger = EMPTY_LEDGER;
  #sequence = 0;
  /** The newest write that is known to outlive the machine. */
  #flushed = 0;

  constructor(directory: string, open: () => Promise<StateDirectory>) {
    this.directory = directory;
    this.#open = open;
  }

  /** @throws SidecarError see `openStateDirectory`. */
  async open(): Promise<StateDirectory> {
    const state = await this.#open();
    this.#held = state;
    this.#saved = state.ledger;
    this.#sequence = state.sequence;
    return state;
  }

  /** Whether lock and ledger are where they were; when they are not, the lock is given up. */
  isHeld(): boolean {
    if (this.#held?.isHeld()) return true;
    this.release();
    return false;
  }

  /** undefined: there was nothing to write, or no place; null: it was written; or why it was not. */
  save(ledger: Ledger, how: Durability): SidecarError | null | undefined {
    if (this.#held === null || this.#saved === ledger) return undefined;
    try {
      this.#write(this.#held, ledger, how === 'flushed');
      return null;
    } catch (thrown) {
      return toSidecarError(thrown, 'ledger');
    }
  }

  /** The numbers of the generations that the ledger on the disk keeps. */
  get kept(): readonly number[] {
    return this.#saved.kept.map(({ generation }) => generation);
  }

  /** The state directory itself while it is ours, whatever has its name; else its path. */
  get held(): string {
    return this.#held?.held ?? this.directory;
  }

  release(): void {
    this.copies.release();
    this.#held?.release();
    this.#held = null;
  }

  #write({ held, slots }: StateDirectory, ledger: Ledger, flushed: boolean): void {
    const sequence = this.#sequence;
    // What is kept says so itself; a pin and blocks stand nowhere else.
    const isPrecious = ledger.pinned !== null || ledger.blocked.length > 0;
    const flushesOther = isPrecious && !flushed && this.#flushed === sequence - 1;
    this.#sequence = writeLedger(held, ledger, { sequence, flushed, flushesOther, slots });
    if (flushed) this.#flushed = this.#sequence;
    else if (flushesOther) this.#flushed = sequence;
    this.#saved = ledger;
  }
}
