// All outputs of one target as one place to publish: a release is staged whole before the first output shows it.

import { SidecarError } from '../lib/errors.ts';
import { createGeneration, type DescribedFile, type Generation } from '../render/generation.ts';
import { type Part, type Release, releaseOf, renderingOf } from '../render/release.ts';
import type { Owner } from '../settings/types.ts';
import { type Output, openPublisher, type Publisher, type Staged, type Volume } from './publisher.ts';
import type { StagedPart } from './types.ts';

/** One output of a target. */
export interface OutputPlace extends Output {
  readonly owner: Owner | null;
}

/** A release that is written, of which nothing is visible yet. */
export interface StagedRelease {
  /** Empty where at most one output changes: there is nothing between the first and the last, then. */
  readonly parts: readonly StagedPart[];
  /** An output may have been changed by others while another one was published: what they show must be looked at. */
  readonly mustLook: boolean;
  /**
   * Waits until all of it is on the disk, and makes one output after the other visible, in their order.
   * @throws SidecarError of stage `publish`: the outputs before show the release then, the others what they showed.
   */
  readonly swap: () => Promise<void>;
  /** Removes what is not visible. Never throws. */
  readonly discard: () => Promise<void>;
}

/** See `Publisher`: the same for all outputs together. */
export interface Outputs {
  hold(): void;
  look(): Volume;
  lookInSlices(): Promise<Volume>;
  /** What they show, as a release. */
  read(): Release;
  /** Whether every output is there. */
  isThere(): boolean;
  /** Writes what is not there yet. @throws SidecarError of stage `publish`; nothing is left then, and nothing was visible. */
  stage(release: Release): Promise<StagedRelease>;
  /** See `Publisher.settled`. */
  settled(): Promise<void>;
  /**
   * Makes visible what is missing of a release that a crash has left half visible. Does nothing where it was not visible at
   * all, or where something of it is gone. Never throws: the next look says what is wrong.
   */
  complete(parts: readonly StagedPart[]): Promise<void>;
  recover(): void;
  prune(now: number): void;
  release(): void;
}

interface Place {
  readonly path: string;
  readonly publisher: Publisher;
}

/** @param maxBytes of `largestRelease`, for each output. */
export function openOutputs(outputs: readonly OutputPlace[], maxBytes: number): Outputs {
  const places = outputs.map(({ kind, path, owner }) => {
    return { path, publisher: openPublisher({ kind, path }, owner, maxBytes) };
  });
  const each = (act: (publisher: Publisher) => void): void => {
    for (const { publisher } of places) act(publisher);
  };
  return {
    hold: () => each((one) => one.hold()),
    look: () =>
      combine(
        places,
        places.map(({ publisher }) => publisher.look()),
      ),
    lookInSlices: async () => {
      const volumes: Volume[] = [];
      for (const { publisher } of places) volumes.push(await publisher.lookInSlices());
      return combine(places, volumes);
    },
    read: () => releaseOf(places.map(readPart)),
    isThere: () => places.every(({ publisher }) => publisher.isThere()),
    stage: (release) => stage(places, release),
    settled: async () => {
      for (const { publisher } of places) await publisher.settled();
    },
    complete: (parts) => complete(places, parts),
    recover: () => each((one) => one.recover()),
    prune: (now) => each((one) => one.prune(now)),
    release: () => each((one) => one.release()),
  };
}

/** One output: what it shows. Several: nothing only where none shows anything. */
function combine(places: readonly Place[], volumes: readonly Volume[]): Volume {
  const [only] = volumes;
  if (only !== undefined && volumes.length === 1) return only;
  const problem = volumes.find((one) => one.problem !== null)?.problem ?? null;
  const parts = places.map(({ path }, at) => ({ path, rendering: volumes[at]?.rendering ?? null }));
  const times = volumes.flatMap(({ changedAt }) => changedAt ?? []);
  const isEmpty = parts.every(({ rendering }) => rendering === null);
  return {
    rendering: problem !== null || isEmpty ? null : renderingOf(parts),
    changedAt: times.length === 0 ? null : Math.max(...times),
    problem,
    parts,
  };
}

/** Of a generation without files, which needs none. */
const DEFAULT_MODE = 0o644;

function readPart({ path, publisher }: Place): Part {
  const files: readonly DescribedFile[] = publisher.read();
  const { mode = DEFAULT_MODE, owner = null } = files[0] ?? {};
  return { path, generation: createGeneration(files, { mode, owner }) };
}

async function stage(places: readonly Place[], { parts }: Release): Promise<StagedRelease> {
  const staged: { readonly part: StagedPart; readonly staged: Staged }[] = [];
  const discard = async (): Promise<void> => {
    for (const one of staged) await one.staged.discard();
  };
  try {
    for (const { path, publisher } of places) {
      const generation = generationFor(parts, path);
      // An output that shows it already is not written again.
      if (places.length > 1 && (await publisher.lookInSlices()).rendering === generation.rendering) continue;
      const one = await publisher.stage(generation);
      staged.push({ part: { output: path, name: one.name, rendering: generation.rendering }, staged: one });
    }
  } catch (error) {
    await discard();
    throw error;
  }
  return {
    parts: staged.length > 1 ? staged.map(({ part }) => part) : [],
    mustLook: places.length > 1,
    discard,
    swap: async () => {
      for (const one of staged) await one.staged.flushed();
      for (const one of staged) await one.staged.swap();
    },
  };
}

function generationFor(parts: readonly Part[], path: string): Generation {
  const part = parts.find((one) => one.path === path);
  if (part !== undefined) return part.generation;
  throw new SidecarError(`Cannot publish "${path}": the release has no files for this output.`, {
    code: 'publish.shape',
    stage: 'publish',
  });
}

async function complete(places: readonly Place[], parts: readonly StagedPart[]): Promise<void> {
  const found = parts.map(({ output, name, rendering }) => {
    const publisher = places.find(({ path }) => path === output)?.publisher;
    const isShown = publisher?.look().rendering === rendering;
    return { isShown, staged: isShown ? null : (publisher?.findStaged(name) ?? null) };
  });
  const isWhole = found.every(({ isShown, staged }) => isShown || staged !== null);
  const hasBegun = found.some(({ isShown, staged }) => isShown || staged?.isVisible);
  if (!isWhole || !hasBegun) return;
  try {
    for (const { staged } of found) await staged?.swap();
  } catch {}
}
