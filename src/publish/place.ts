// What the steps of publishing are, whichever shape the output has.

import type { SidecarError } from '../lib/errors.ts';
import type { DescribedFile, Generation } from '../render/generation.ts';
import type { Owner } from '../settings/types.ts';

/** Where the configuration goes. `path` is absolute; without a trailing slash also for a directory. */
export interface Output {
  readonly kind: 'file' | 'directory';
  readonly path: string;
}

/** What is on the volume now. */
export interface Volume {
  /** The rendering digest of the files that are there; null when there is nothing. */
  readonly rendering: string | null;
  /** When that was last changed (Unix milliseconds, the files' own stamp); null when there is nothing or it is not known. */
  readonly changedAt: number | null;
  /** Why nothing could be published over it as it stands, or null. */
  readonly problem: SidecarError | null;
  /** Of several outputs, what each shows. */
  readonly parts?: readonly { readonly path: string; readonly rendering: string | null }[];
}

/** A generation that is written under a hidden name, and not visible yet. */
export interface Staged {
  /** The hidden name in the directory, by which a later start finds it. */
  readonly name: string;
  /** Waits until all of it is on the disk. @throws SidecarError of stage `publish`: it must be discarded then. */
  readonly flushed: () => Promise<void>;
  /**
   * To be called when it is flushed. Makes it visible, whole or not at all; `Publisher.settled` says when that outlives a crash of the machine.
   * @throws SidecarError of stage `publish`; the volume then shows what it showed before.
   */
  readonly swap: () => Promise<void>;
  /** Removes it instead. Never throws. */
  readonly discard: () => Promise<void>;
}

/** What an earlier run staged. */
export interface FoundStaged extends Staged {
  /** It is visible already; names may be missing that a swap adds. */
  readonly isVisible: boolean;
}

export interface PublisherOptions {
  /** OUTPUT_OWNER. */
  readonly owner: Owner | null;
  /** Of `largestRelease`: what is larger on the volume was not published by us, and is not read. */
  readonly maxBytes: number;
}

/** Puts generations on one volume. Knows nothing of why. One caller at a time, except for `isThere`. */
export interface Publisher {
  /**
   * Holds the directory, if it is there: from the first call of any of these on, only this directory is published in.
   * @throws SidecarError `publish.replaced` when another one has taken its place since.
   */
  hold(): void;
  /** Reads what is there. What cannot be used as ours has a digest nothing else has, so that it is replaced. */
  look(): Volume;
  /** The same without holding up the event loop for long, however many files there are. */
  lookInSlices(): Promise<Volume>;
  /** The files that are there, in name order; none where there is nothing to read. */
  read(): readonly DescribedFile[];
  /** Whether anything is there at all: for a question asked often. */
  isThere(): boolean;
  /** Writes the generation beside what is visible. @throws SidecarError of stage `publish`; nothing is left then. */
  stage(generation: Generation): Promise<Staged>;
  /** Waits until what was made visible last is on the disk. @throws SidecarError of stage `publish` when the disk refuses. */
  settled(): Promise<void>;
  /** What an earlier run staged under this hidden name, as `stage` gave it; null when it is not there any more, or not ours. */
  findStaged(name: string): FoundStaged | null;
  /**
   * Once at the start: removes left-overs of a crash, by exact name and owner, and finishes half-done visible names.
   * Directories are removed in the background.
   */
  recover(): void;
  /**
   * Removes generations that readers may still have had open, once their grace time (one minute) is over. In the background
   * where there is much to do.
   */
  prune(now: number): void;
  /** Lets go of the directory. Nothing else may be called afterwards. */
  release(): void;
}
