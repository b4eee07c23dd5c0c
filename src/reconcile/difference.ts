// What the source has and the volume does not show, as a diff for people: of what was refused, blocked or is held up by a pin.

import { maskLines } from '../lib/mask-lines.ts';
import type { Release } from '../render/release.ts';
import type { OutputSettings } from '../settings/outputs.ts';
import type { State } from './state.ts';

interface Parts {
  readonly outputs: readonly OutputSettings[];
  readonly state: () => State;
  /** What the volume shows. */
  readonly readVolume: () => Release;
  /** Takes our own secrets out. */
  readonly mask: (text: string) => string;
}

/** More is for `config-sidecar diff`: the loop waits while this is made. */
const MOST_BYTES = 256 * 1024;
const MOST_SHOWN = 32 * 1024;
const TIMEOUT_MS = 50;

/**
 * The diff between what is on the volume and what the source was rendered to, secrets masked; null: they are the same, or it
 * could not be rendered. Made once for each pair.
 */
export function differences({ outputs, state, readVolume, mask }: Parts): () => Promise<string | null> {
  let made: { readonly key: string; readonly text: string | null } | null = null;
  return async () => {
    const { volume, candidate, held } = state().session;
    const wanted = candidate?.generation ?? null;
    if (wanted === null || volume === null || volume.rendering === null) return null;
    if (wanted.rendering === volume.rendering) return null;
    const key = `${volume.rendering} ${wanted.rendering}`;
    if (made?.key !== key) {
      const { patchOf } = await import('../render/patch.ts');
      const text = describe(() => {
        const shown = held?.rendering === volume.rendering ? held : readVolume();
        if (sizeOf(shown) + sizeOf(wanted) > MOST_BYTES) return TOO_LARGE;
        return bounded(maskLines(mask(patchOf(shown, wanted, { outputs, timeoutMs: TIMEOUT_MS }))));
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
