// What one target has published: its volume, its ledger and its lock, kept in agreement. It knows how, never when.

import { bootStamp } from '../application/process/boot-clock.ts';
import {
  findGenerations,
  keepGeneration,
  pruneGenerations,
  readGeneration,
} from '../ledger/kept-generations.ts';
import type { Evidence, Kept, Ledger, Published } from '../ledger/ledger.ts';
import * as ledgers from '../ledger/ledger.ts';
import { writeLedger } from '../ledger/ledger-file.ts';
import { openStateDirectory, type StateDirectory, stateDirectoryOf } from '../ledger/state-directory.ts';
import type { BootStamp } from '../ledger/types.ts';
import { faultPoint } from '../lib/fault-point.ts';
import { type Output, openPublisher, type Publisher, type Volume } from '../publish/publisher.ts';
import { createGeneration, type Generation } from '../render/generation.ts';
import type { Owner } from '../settings/types.ts';

export interface PublicationOptions {
  readonly output: Output;
  readonly owner: Owner | null;
  /** STATE_DIR, absolute. */
  readonly stateDir: string;
  /** Whether somebody is told of a publication, so that it leaves a reload owed. */
  readonly tells: boolean;
  /** KEEP_GENERATIONS. */
  readonly keeps: number;
  /** MAX_SIZE. */
  readonly maxBytes: number;
  /** Who we are, for a second sidecar that waits for the lock. */
  readonly holder: string;
}

/** Of a generation without files, which needs none. */
const DEFAULT_MODE = 0o644;

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
  /** The newest that is known to outlive the machine. */
  #flushed = 0;
  #volume: Volume | null = null;
  #held: Generation | null = null;
  #isOurs = false;
  /** Whether the ledger was read: one in memory is newer than any on disk then. */
  #isKnown = false;

  constructor(options: PublicationOptions) {
    this.#options = options;
    this.#publisher = openPublisher(options.output, options.owner, options.maxBytes);
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

  /** Whether what is on the volume was put there by this run. */
  get isOurs(): boolean {
    return this.#isOurs;
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
    // What has taken the place of the output's directory gets no state of ours either.
    this.#publisher.hold();
    const state = await openStateDirectory(this.stateDirectory, output, holder);
    try {
      this.#publisher.recover();
      const { rendering } = this.#lookAtOnce();
      // A ledger in memory is newer than any on disk: the directory was replaced under us.
      const known = this.#isKnown ? this.#ledger : this.#fromDisk(state);
      this.#ledger = ledgers.resolveIntention(known, rendering, this.#momentOfVolume());
      this.#held ??= this.#readVolume();
      this.#saved = state.ledger;
      this.#sequence = state.sequence;
      this.#state = state;
      this.#isKnown = true;
      return state.from;
    } catch (thrown) {
      state.release();
      throw thrown;
    }
  }

  /** Without a ledger the copies say themselves what was known to work. */
  #fromDisk({ ledger, held }: StateDirectory): Ledger {
    const copies = ledger.generation > 0 ? [] : findGenerations(held, this.#options.maxBytes);
    const known = copies.length === 0 ? ledger : ledgers.restored(ledger, copies);
    return ledgers.suspicionExpired(known, Date.now());
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
  async look(nowMs: number): Promise<void> {
    this.#volume = await this.#publisher.lookInSlices();
    this.#publisher.prune(nowMs);
  }

  #lookAtOnce(): Volume {
    this.#volume = this.#publisher.look();
    return this.#volume;
  }

  /**
   * Intention and debt first, then the rename.
   * @param isUrgent a way back is not barred by a ledger that cannot be written. `meanwhile`: see `Publisher.publish`.
   * @throws SidecarError `ledger.write` or `publish.*`; the volume is as before, and so is what is owed.
   */
  async publish(
    generation: Generation,
    version: Published,
    { isUrgent, meanwhile }: { readonly isUrgent: boolean; readonly meanwhile?: () => void },
  ): Promise<void> {
    const intended = ledgers.intend(
      this.#ledger,
      { ...version, at: Date.now(), moment: null },
      this.#options.tells,
    );
    try {
      this.#write(intended);
    } catch (thrown) {
      if (!isUrgent) throw thrown;
    }
    this.#ledger = intended;
    faultPoint('intended');
    try {
      await this.#publisher.publish(generation, meanwhile);
    } catch (thrown) {
      this.#ledger = ledgers.resolveIntention(
        this.#ledger,
        this.#lookAtOnce().rendering,
        this.#momentOfVolume(),
      );
      throw thrown;
    }
    this.#ledger = ledgers.carriedOut(this.#ledger, bootStamp());
    // Written, flushed and renamed a moment ago: to read it back would tell nothing new.
    this.#volume = { rendering: generation.rendering, changedAt: Date.now(), problem: null };
    this.#held = generation;
    this.#isOurs = true;
    faultPoint('published');
  }

  /** The volume shows this already. */
  hold(generation: Generation): void {
    this.#held = generation;
  }

  /**
   * The bytes of a kept generation, verified.
   * @throws SidecarError `state.generation-damaged`; it is not kept any more.
   */
  copyOf(kept: Kept): Generation {
    if (this.#held?.rendering === kept.rendering) return this.#held;
    try {
      return readGeneration(this.#stateHeld, kept, this.#options.maxBytes);
    } catch (thrown) {
      this.#ledger = ledgers.withoutKept(this.#ledger, kept.rendering);
      throw thrown;
    }
  }

  /** What is published works. */
  confirm(evidence: readonly Evidence[]): void {
    this.#ledger = ledgers.confirmed(this.#ledger, { evidence, at: Date.now() });
  }

  /**
   * Makes what is published the last known good, if it works: from then on there is a copy of it.
   * @throws SidecarError of the disk; what was the last known good still is.
   */
  async keep(): Promise<void> {
    const { held, ledger } = this;
    const { published, verdict } = ledger;
    if (held === null || published === null || verdict !== 'good' || this.#state === null) return;
    const good = ledgers.lastKnownGoodOf(ledger);
    if (good?.rendering === published.rendering && good.revision === published.revision) return;
    const [newest] = ledgers.keeping(ledger, Date.now(), this.#options.keeps).kept;
    // Also where there is a copy: without a ledger the copies say which of them was confirmed last.
    if (newest !== undefined) await keepGeneration(this.#stateHeld, newest, held, this.#options.maxBytes);
    this.#ledger = ledgers.keeping(this.#ledger, Date.now(), this.#options.keeps);
    faultPoint('copied');
    this.save({ flushed: true });
    faultPoint('kept');
    const numbers = this.#ledger.kept.map(({ generation }) => generation);
    pruneGenerations(this.#stateHeld, numbers);
  }

  /** Takes what the volume shows for published: whether anybody was told of it is not known. */
  adopt(version: Published): void {
    this.#isOurs = false;
    this.#ledger = ledgers.adopt(
      this.#ledger,
      { ...version, moment: this.#momentOfVolume() },
      this.#options.tells,
    );
  }

  /** There is nobody to tell any more. */
  forgive(): void {
    this.#ledger = { ...this.#ledger, owed: null };
  }

  /** Notes something that is not about the volume; `save` writes it. Nothing, before the ledger was read. */
  note(change: (ledger: Ledger) => Ledger): void {
    if (!this.#isKnown) return;
    this.#ledger = change(this.#ledger);
  }

  /**
   * Notes what was chosen by hand, or null for nothing, on the disk.
   * @throws SidecarError `ledger.write`: nothing has changed then.
   */
  pin(pinned: Ledger['pinned']): void {
    const before = this.#ledger.pinned;
    this.note((ledger) => ({ ...ledger, pinned }));
    try {
      this.save({ flushed: true });
    } catch (thrown) {
      this.note((ledger) => ({ ...ledger, pinned: before }));
      throw thrown;
    }
  }

  /**
   * Writes what was noted. `flushed`: it has to outlive the machine, and not only us.
   * @throws SidecarError `ledger.write`; it is tried again at the next call.
   */
  save({ flushed = false }: { readonly flushed?: boolean } = {}): void {
    if (this.#state === null || this.#saved === this.#ledger) return;
    this.#write(this.#ledger, flushed);
  }

  release(): void {
    this.#state?.release();
    this.#state = null;
    this.#publisher.release();
  }

  /** The state directory itself while it is ours, whatever has its name; else by its name. */
  get #stateHeld(): string {
    return this.#state?.held ?? this.stateDirectory;
  }

  #write(ledger: Ledger, flushed = false): void {
    const sequence = this.#sequence;
    // What is kept says so itself; a pin and blocks stand nowhere else.
    const isPrecious = ledger.pinned !== null || ledger.blocked.length > 0;
    const flushesOther = isPrecious && !flushed && this.#flushed === sequence - 1;
    this.#sequence = writeLedger(this.#stateHeld, ledger, { sequence, flushed, flushesOther });
    if (flushed) this.#flushed = this.#sequence;
    else if (flushesOther) this.#flushed = sequence;
    this.#saved = ledger;
  }

  /** The published generation as the volume shows it, so that it can be shown again; null when it shows another. */
  #readVolume(): Generation | null {
    const { published } = this.#ledger;
    if (published === null || this.#volume?.rendering !== published.rendering) return null;
    const files = this.#publisher.read();
    const { mode = DEFAULT_MODE, owner = null } = files[0] ?? {};
    const found = createGeneration(files, { mode, owner });
    return found.rendering === published.rendering ? found : null;
  }

  /** From the files' own time, put later by a second since the two clocks are not one. */
  #momentOfVolume(): BootStamp {
    const { bootId, ticks } = bootStamp();
    const changedAt = this.#volume?.changedAt ?? null;
    if (changedAt === null || ticks === null) return { bootId: null, ticks: null };
    return { bootId, ticks: ticks - Math.floor((Date.now() - changedAt) / 10) + 100 };
  }
}
