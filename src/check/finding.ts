// What `check` finds out: one sentence each, whether it is good or bad, and how to mend it.

import { toSidecarError } from '../lib/errors.ts';
import { EXIT } from '../lib/exit-codes.ts';
import type { Environment } from '../settings/environment.ts';
import type { Loaded } from '../settings/settings.ts';

/** What is checked, in this order, and the exit code when the first failure is there. */
const EXIT_BY_AREA = {
  settings: EXIT.settings,
  source: EXIT.source,
  content: EXIT.refused,
  validation: EXIT.refused,
  output: EXIT.publishing,
  state: EXIT.publishing,
  kept: EXIT.publishing,
  process: EXIT.reload,
  mount: EXIT.reload,
  hook: EXIT.reload,
  confirmation: EXIT.reload,
  endpoints: EXIT.settings,
} as const;

export type Area = keyof typeof EXIT_BY_AREA;

/** `fail`: it would not work; `warn`: it would, but perhaps not as it is meant. */
type Level = 'ok' | 'warn' | 'fail';

export interface Finding {
  readonly area: Area;
  readonly level: Level;
  /** Stable, dotted: `source.denied`. */
  readonly code: string;
  /** A whole sentence without secrets. */
  readonly message: string;
  /** What to do, whole sentences; null where there is nothing to do. */
  readonly mend: string | null;
}

/** What every area is given. */
export interface CheckContext {
  readonly loaded: Loaded;
  readonly env: Environment;
  /** Aborts when the command is to end. */
  readonly signal: AbortSignal;
}

export function ok(area: Area, code: string, message: string): Finding {
  return { area, level: 'ok', code, message, mend: null };
}

export function warn(area: Area, code: string, message: string, mend: string): Finding {
  return { area, level: 'warn', code, message, mend };
}

export function fail(area: Area, code: string, message: string, mend: string): Finding {
  return { area, level: 'fail', code, message, mend };
}

/** An error of ours as a finding: its own advice, which follows its first sentence, and else `mend`. */
export function failure(area: Area, thrown: unknown, mend: string): Finding {
  const { code, message } = toSidecarError(thrown);
  const { sentence, advice } = split(message);
  return fail(area, code, sentence, advice ?? mend);
}

/** At the first end of a sentence that does not stand between quotes, where paths and names are. */
function split(message: string): { readonly sentence: string; readonly advice: string | null } {
  const [, first, rest] = /^((?:"[^"]*"|[^"])*?\.) ([A-Z].*)$/s.exec(message) ?? [];
  if (first === undefined || rest === undefined) return { sentence: closed(message), advice: null };
  return { sentence: first, advice: closed(rest) };
}

function closed(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

export function hasFailed(findings: readonly Finding[]): boolean {
  return findings.some(({ level }) => level === 'fail');
}

/** 0 when nothing failed, else by the area that failed first. */
export function exitCodeOf(findings: readonly Finding[]): number {
  const first = findings.find(({ level }) => level === 'fail');
  return first === undefined ? EXIT.done : EXIT_BY_AREA[first.area];
}
