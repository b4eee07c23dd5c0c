// The outputs of a target as the program uses them: of OUTPUT alone, or of OUTPUTS with what their settings leave out filled in.

import { basename, join } from 'node:path';
import type { ModeRule } from './modes.ts';
import type { OutputEntry } from './output-list.ts';
import type { Place } from './paths.ts';
import type { Values } from './table.ts';
import type { Owner } from './types.ts';

/** One output with everything that is its own. */
export interface OutputSettings {
  readonly place: Place;
  readonly template: Place | undefined;
  readonly format: Values['FORMAT'];
  readonly mode: number;
  readonly owner: Owner | null;
  /** By glob, for a directory; the last that matches counts. */
  readonly modes: readonly ModeRule[];
  readonly validateCommand: readonly string[] | undefined;
}

/** In the order in which they are published; empty where none is given. */
export function outputsOf(values: Partial<Values>): readonly OutputSettings[] {
  const { OUTPUTS, OUTPUT } = values;
  if (OUTPUTS !== undefined) return OUTPUTS.map((entry) => outputOf({ ...values, ...entry }));
  return OUTPUT === undefined ? [] : [outputOf({ ...values, OUTPUT })];
}

/** OUTPUT_MODE without a value was refused alone. */
const DEFAULT_MODE = 0o644;

function outputOf(values: Omit<Partial<Values>, 'OUTPUT'> & Pick<OutputEntry, 'OUTPUT'>): OutputSettings {
  const { OUTPUT, TEMPLATE, FORMAT, OUTPUT_MODE, OUTPUT_OWNER, MODES, VALIDATE_COMMAND } = values;
  return {
    place: OUTPUT,
    template: TEMPLATE,
    format: FORMAT,
    mode: OUTPUT_MODE ?? DEFAULT_MODE,
    owner: OUTPUT_OWNER ?? null,
    modes: OUTPUT.kind === 'directory' ? (MODES ?? []) : [],
    validateCommand: VALIDATE_COMMAND,
  };
}

/** The output as messages and status name it. */
export function shownPlace({ kind, path }: Place): string {
  return kind === 'file' ? path : `${path}/`;
}

/** Where each output is and whose its files are: what publishing asks. */
export function placesOf(
  outputs: readonly OutputSettings[],
): readonly (Place & { readonly owner: Owner | null })[] {
  return outputs.map(({ place, owner }) => ({ ...place, owner }));
}

/** Their paths, in the order in which they are published. */
export function pathsOf(outputs: readonly OutputSettings[]): readonly string[] {
  return outputs.map(({ place }) => place.path);
}

/** A folder of its own below STATE_DIR for each output, so that outputs beside each other can share one. */
export function stateDirectoryOf({ path }: Pick<Place, 'path'>, stateDir: string): string {
  return join(stateDir, basename(path) || 'root');
}
