// What one target has published: its volume, its ledger and its lock, kept in agreement. It knows how, never when.
import type { Generation, Owner } from './generation.ts';
import type { Ledger, Published, Told } from './ledger.ts';
import * as ledgers from './ledger.ts';
import { writeLedger } from './ledger-file.ts';
import { type BootStamp, bootStamp } from './process/boot-clock.ts';
import { type Output, openPublisher, type Publisher, type Volume } from './publish.ts';
import { openStateDirectory, type StateDirectory, stateDirectoryOf } from './state-directory.ts';

export interface PublicationOptions {
  readonly output: Output;
  readonly owner: Owner | null;
  /** STATE_DIR, absolute. */
  readonly stateDir: string;
  /** Whether somebody is told of a publication, so that it leaves a reload owed. */
  readonly tells: boolean;
  /** Who we are, for a second sidecar that waits for the lock. */
  readonly holder: string;
}

export class Publication {
  /** The folder of the state directory that belongs to this output. */
  readonly stateDirectory: string;
  readonly #options: PublicationOptions;
  readonly #publisher: Publisher;
  #state: StateDirectory | null = null;
  #ledger: Ledger = ledgers.EMPTY_LEDGER;
  /** What is on the disk: one step behind while the next step is about to be taken. */
  #saved: Ledger = ledgers.EMPTY_LEDGER;
  #sequence = 0;
  #volume: Volume | null = null;
  #held: Generation | null = null;

  constructor(options: PublicationOptions) {
    this.#options = options;
    this.#publisher = openPublisher(options.output, options.owner);
    this.stateDirectory = stateDirectoryOf(options.output, options.stateDir);
  }

  get isOpen(): boolean {
    return this.#state !== null;
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  /** What the last look saw, or the last publication left; null when it must be looked at. */
  get volume(): Volume | null {
    return this.#volume;
  }

  /** The published generation, while its bytes are known. */
  get held(): Generation | null {
    const { published } = this.#ledger;
    return this.#held?.rendering === published?.rendering ? this.#held : null;
  }

  /** Whether a configuration of ours is on the volume; false as soon as it has vanished. */
  get isThere(): boolean {
    const { published } = this.#ledger;
    const known = this.isOpen && published !== null && this.#volume?.rendering === published.rendering;
    return known && this.#publisher.isThere();
  }

  /**
   * Takes the lock, reads the ledger, removes left-overs and finds out what a crash left undone.
   * @returns where the ledger came from.
   * @throws SidecarError `state.locked` or what the disk said.
   */
  async open(): Promise<StateDirectory['from']> {
    const { output, holder } = this.#options;
    const state = await openStateDirectory(this.stateDirectory, output, holder);
    try {
      this.#publisher.recover();
      const { rendering } = this.look();
      // A ledger in memory is newer than any on disk: the directory was replaced under us.
      const known = this.#ledger === ledgers.EMPTY_LEDGER ? state.ledger : this.#ledger;
      this.#ledger = ledgers.resolveIntention(known, rendering, this.#momentOfVolume());
      this.#saved = state.ledger;
      this.#sequence = state.sequence;
      this.#state = state;
      return state.from;
    } catch (thrown) {
      state.release();
      throw thrown;
    }
  }

  /** Whether lock and ledger are where they were; otherwise the volume was taken away or put in place anew. */
  checkState(): boolean {
    if (this.#state?.isHeld()) return true;
    this.#state?.release();
    this.#state = null;
    this.#volume = null;
    return false;
  }

  /** Reads the volume, and removes generations whose grace time is over. */
  look(nowMs?: number): Volume {
    this.#volume = this.#publisher.look();
    if (nowMs !== undefined) this.#publisher.prune(nowMs);
    return this.#volume;
  }

  /**
   * Intention and debt first, then the rename. `meanwhile`: see `Publisher.publish`.
   * @throws SidecarError `ledger.write` or `publish.*`; the volume is as before, and so is what is owed.
   */
  async publish(generation: Generation, version: Published, meanwhile?: () => void): Promise<void> {
    const intended = ledgers.intend(
      this.#ledger,
      { ...version, at: Date.now(), moment: null },
      this.#options.tells,
    );
    this.#write(intended);
    this.#ledger = intended;
    try {
      await this.#publisher.publish(generation, meanwhile);
    } catch (thrown) {
      this.#ledger = ledgers.resolveIntention(intended, this.look().rendering, this.#momentOfVolume());
      throw thrown;
    }
    this.#ledger = ledgers.carriedOut(intended, bootStamp());
    // Written, flushed and renamed a moment ago: to read it back would tell nothing new.
    this.#volume = { rendering: generation.rendering, changedAt: Date.now(), problem: null };
    this.#held = generation;
  }

  /** The volume shows this already. */
  hold(generation: Generation): void {
    this.#held = generation;
  }

  /** Takes what the volume shows for published: whether anybody was told of it is not known. */
  adopt(version: Published): void {
    this.#ledger = ledgers.adopt(
      this.#ledger,
      { ...version, moment: this.#momentOfVolume() },
      this.#options.tells,
    );
  }

  /** The application knows what is published. */
  told(told: Omit<Told, 'version' | 'at'>): void {
    this.#ledger = ledgers.toldOf(this.#ledger, { ...told, at: Date.now() });
  }

  /** There is nobody to tell any more. */
  forgive(): void {
    this.#ledger = { ...this.#ledger, owed: null };
  }

  /** @throws SidecarError `ledger.write`; it is tried again at the next call. */
  save(): void {
    if (this.#state === null || this.#saved === this.#ledger) return;
    this.#write(this.#ledger);
  }

  release(): void {
    this.#state?.release();
    this.#state = null;
  }

  #write(ledger: Ledger): void {
    this.#sequence = writeLedger(this.stateDirectory, ledger, this.#sequence);
    this.#saved = ledger;
  }

  /** From the files' own time, put later by a second since the two clocks are not one. */
  #momentOfVolume(): BootStamp {
    const { bootId, ticks } = bootStamp();
    const changedAt = this.#volume?.changedAt ?? null;
    if (changedAt === null || ticks === null) return { bootId: null, ticks: null };
    return { bootId, ticks: ticks - Math.floor((Date.now() - changedAt) / 10) + 100 };
  }
}
