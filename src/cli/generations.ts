// What `history show N` and `diff N [M]` print: kept generations, read from the state directory of the target.

import { findGenerations, readGeneration } from '../ledger/kept-generations.ts';
import type { KeptGeneration } from '../ledger/ledger.ts';
import { readLedger } from '../ledger/ledger-file.ts';
import { SidecarError } from '../lib/errors.ts';
import { isoTime } from '../lib/iso-time.ts';
import { openOutputs } from '../publish/outputs.ts';
import { patchOf } from '../render/patch.ts';
import { largestRelease, type Release } from '../render/release.ts';
import { type OutputSettings, pathsOf, placesOf, stateDirectoryOf } from '../settings/outputs.ts';
import type { Place } from '../settings/paths.ts';

/** Where the generations of one target are, and what it shows. */
export interface KeptHistory {
  readonly output: Place;
  readonly outputs: readonly OutputSettings[];
  readonly stateDir: string;
  /** MAX_SIZE. */
  readonly maxSize: number;
}

/**
 * One generation with its files, as they are.
 * @throws SidecarError `control.unknown-generation`, or `state.generation-damaged`.
 */
export function showGeneration(number: number, history: KeptHistory): string {
  const { kept, release } = readKept(number, history);
  const { generation, revision, rendering, confirmedAt } = kept;
  const head = `# generation ${generation}, revision ${revision}, ${rendering}, confirmed ${isoTime(confirmedAt)}\n`;
  const files = release.parts.flatMap((part) => {
    const { files: all, mode } = part.generation;
    const isDirectory =
      history.outputs.find(({ place }) => place.path === part.path)?.place.kind === 'directory';
    return all.map((file) => {
      const path = isDirectory ? `${part.path}/${file.name}` : part.path;
      return `# ${path}, mode ${(file.mode ?? mode).toString(8).padStart(4, '0')}\n${Buffer.from(file.bytes).toString()}`;
    });
  });
  return head + files.join('');
}

/** The diff from one generation to another, or to what the outputs show (null). Empty: nothing differs. Errors as `showGeneration`. */
export function diffGenerations(from: number, to: number | null, history: KeptHistory): string {
  const { outputs, maxSize } = history;
  const before = readKept(from, history).release;
  const shown = (): Release => openOutputs(placesOf(outputs), largestRelease(maxSize)).read();
  const after = to !== null ? readKept(to, history).release : shown();
  return patchOf(before, after, { outputs });
}

function readKept(
  number: number,
  { output, outputs, stateDir, maxSize }: KeptHistory,
): { readonly kept: KeptGeneration; readonly release: Release } {
  const directory = stateDirectoryOf(output, stateDir);
  const maxBytes = largestRelease(maxSize);
  const { ledger } = readLedger(directory);
  const all = ledger.generation > 0 ? ledger.kept : findGenerations(directory, maxBytes);
  const kept = all.find(({ generation }) => generation === number);
  if (kept === undefined) throw unknown(number, all);
  return {
    kept,
    release: readGeneration(directory, kept, { outputs: pathsOf(outputs), maxBytes }),
  };
}

function unknown(number: number, all: readonly KeptGeneration[]): SidecarError {
  const known = all.map(({ generation }) => generation).join(', ');
  const what = known === '' ? 'none is kept here' : `kept are ${known}`;
  return new SidecarError(
    `Cannot read generation ${number}: ${what}. Give the same OUTPUT and STATE_DIR as the sidecar, and run as its user.`,
    // A wrong word on the command line.
    { code: 'control.unknown-generation', stage: 'settings' },
  );
}
