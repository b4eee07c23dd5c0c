// What the source has and the volume does not show, as a diff for people: of what was refused, blocked or is held up by a pin.

import { maskLines } from '../lib/mask-lines.ts';
import type { OutputSettings } from '../settings/outputs.ts';
import type { Release } from './release.ts';

interface Parts {
  readonly outputs: readonly OutputSettings[];
  /** What the volume shows. */
  readonly readVolume: () => Release;
  /** Takes our own secrets out. */
  readonly mask: (text: string) => string;
}

/** What is known of both. */
interface Known {
  /** The rendering that the volume shows; null: nothing is known of it. */
  readonly shown: string | null;
  /** Its bytes, where they are held. */
  readonly held: Release | null;
  /** What the source was rendered to; null: it could not be rendered. */
  readonly wanted: Release | null;
}

/** More is for `config-sidecar diff`: the loop waits while this is made. */
const MOST_BYTES = 256 * 1024;
const MOST_SHOWN = 32 * 1024;
const TIMEOUT_MS = 50;

/**
 * The diff between what is on the volume and what the source was rendered to, secrets masked; null: they are the same, or it
 * could not be rendered. Made once for each pair.
 */
export function differences({ outputs, readVolume, mask }: Parts): (known: Known) => Promise<string | null> {
  let made: { readonly key: string; readonly text: string | null } | null = null;
  return async ({ shown, held, wanted }) => {
    if (wanted === null || shown === null || wanted.rendering === shown) return null;
    const key = `${shown} ${wanted.rendering}`;
    if (made?.key !== key) {
      const { patchOf } = await import('./patch.ts');
      const text = describe(() => {
        const before = held?.rendering === shown ? held : readVolume();
        if (sizeOf(before) + sizeOf(wanted) > MOST_BYTES) return TOO_LARGE;
        return bounded(maskLines(mask(patchOf(before, wanted, { outputs, timeoutMs: TIMEOUT_MS }))));
      });
      made = { key, text };
    }
    return made.text;
  };
}

const TOO_LARGE = 'The files are too large to compare here; see "config-sidecar diff".\n';

/** The volume may have changed or become unreadable meanwhile: then there is nothing to show. */
function describe(make: () => string): string | null {
  try {
    return make();
  } catch {
    return null;
  }
}

function sizeOf({ parts }: Release): number {
  const files = parts.flatMap(({ generation }) => generation.files);
  return files.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

function bounded(text: string): string {
  if (text.length <= MOST_SHOWN) return text;
  const end = text.lastIndexOf('\n', MOST_SHOWN) + 1;
  return `${text.slice(0, end)}… the rest is shown by "config-sidecar diff"\n`;
}
