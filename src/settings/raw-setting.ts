// What the user gave: one setting with its place of origin, and how a mistake in it is put into words.

import { type InvalidValue, InvalidValues, type Mistake } from '../lib/invalid-value.ts';
import { maskSources } from './source-text.ts';

import { type Name, rowOf, type Secret, type Values } from './table.ts';

export type From = 'flag' | 'environment' | 'file' | 'preset' | 'default';

export interface RawSetting {
  readonly name: Name;
  readonly from: From;
  /** As the user would look for it: `--reload-signal`, `CONFIG_SIDECAR_OUTPUT`, `output in "/etc/settings.yaml"`. */
  readonly spelled: string;
  /** The value, or for an `X_FILE` the path of the file that holds it. */
  readonly text: string;
  readonly secretFile: boolean;
}

/** What is checked: the values that could be read, and what was given. A value that is missing here was refused alone. */
export interface LoadedValues {
  readonly values: Partial<Values>;
  readonly raw: ReadonlyMap<Name, RawSetting>;
}

/** Settings from one place, and the mistakes met on the way. */
export interface Layer {
  readonly raw: readonly RawSetting[];
  readonly problems: readonly string[];
  /** Sentences for what is legal but probably not meant. */
  readonly warnings?: readonly string[];
}

const MASK = '***';
const LONGEST_SHOWN = 200;

/** A value as it may be shown: without its secrets, on one line, cut to a length that fits a message. */
export function shown(name: Name, value: string): string {
  return oneLine(masked(rowOf(name).secret, value));
}

function masked(secret: Secret | undefined, value: string): string {
  if (secret === 'whole') return MASK;
  if (secret === 'url') return maskSources(value);
  if (secret === 'user') return value.includes(':') ? `${value.slice(0, value.indexOf(':'))}:${MASK}` : value;
  return value;
}

/** Whether the text itself holds a secret; the path of a secret file does not. */
export function holdsSecret({ name, text, secretFile }: RawSetting): boolean {
  return !secretFile && masked(rowOf(name).secret, text) !== text;
}

function oneLine(value: string): string {
  const cut = value.length > LONGEST_SHOWN ? `${value.slice(0, LONGEST_SHOWN)}…` : value;
  return cut.replace(/[\x00-\x1f\x7f]/g, (character) => JSON.stringify(character).slice(1, -1));
}

/** `OUTPUT "/srv/app.json"`: where a setting was given, and its value as it may be shown. */
export function describe({ name, spelled, text, secretFile }: RawSetting): string {
  return `${spelled} "${secretFile ? oneLine(text) : shown(name, text)}"`;
}

/** The sentences for a value that is not accepted. What a secret file holds leaves no trace in them. */
export function complaints(raw: RawSetting, refusal: InvalidValue): readonly string[] {
  return refusal instanceof InvalidValues
    ? refusal.mistakes.map((mistake) => complaintOfPart(raw, mistake))
    : [complaint(raw, refusal)];
}

/** `Cannot use outputs[1].format in "/etc/settings.yaml" "jsn": …`. */
function complaintOfPart({ name, spelled }: RawSetting, { at, value, reason, suggestion }: Mistake): string {
  const where = spelled.replace(/^\S+/, (key) => key + at);
  return `Cannot use ${where}${value === null ? '' : ` "${shown(name, value)}"`}: ${reason}${didYouMean(suggestion)}`;
}

function complaint(raw: RawSetting, refusal: InvalidValue): string {
  const { suggestion } = refusal;
  const hidden = raw.secretFile || rowOf(raw.name).secret === 'whole';
  return `Cannot use ${describe(raw)}: ${refusal.message}${hidden ? '' : didYouMean(suggestion && `"${suggestion}"`)}`;
}

/** `; did you mean X?`, or nothing. */
export function didYouMean(suggestion: string | undefined): string {
  return suggestion === undefined || suggestion === '' ? '' : `; did you mean ${suggestion}?`;
}
