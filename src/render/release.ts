// A release: what all outputs of a target show together, one generation for each.

import { sha256 } from '../lib/sha256.ts';
import type { Generation } from './generation.ts';

/** What one output shows. */
export interface Part {
  /** Path of the output: absolute, without a trailing slash also for a directory. */
  readonly path: string;
  readonly generation: Generation;
}

export interface Release {
  /** In the order of the outputs; at least one. */
  readonly parts: readonly Part[];
  /** What status calls `rendering`; see `renderingOf`. */
  readonly rendering: string;
}

/** A document at the limit may become longer in another format, and a template may repeat what it is given. */
const GROWTH = 4;
/** No text can be longer, and copies are kept as text. */
const LONGEST_TEXT = 2 ** 29;

/**
 * The most bytes that all outputs together may show. What is larger on the volume was not published by us.
 * @param maxSize MAX_SIZE.
 */
export function largestRelease(maxSize: number): number {
  return Math.max(maxSize, Math.min(GROWTH * maxSize, LONGEST_TEXT));
}

export function releaseOf(parts: readonly Part[]): Release {
  const rendering = renderingOf(
    parts.map(({ path, generation }) => ({ path, rendering: generation.rendering })),
  );
  return { parts, rendering };
}

/** What one output shows, or should show, as a digest; null: nothing. */
interface Shown {
  readonly path: string;
  readonly rendering: string | null;
}

/**
 * The digest of one output as it is; of several one over all of them, in which their order plays no part.
 * @param shown at least one does not show nothing.
 */
export function renderingOf(shown: readonly Shown[]): string {
  const [first, ...others] = shown;
  if (first !== undefined && others.length === 0 && first.rendering !== null) return first.rendering;
  const sorted = [...shown].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const text = JSON.stringify(sorted.map(({ path, rendering }) => [path, rendering]));
  return `sha256:${sha256(text)}`;
}
