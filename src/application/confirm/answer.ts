// Whether an answer of the application is the one that CONFIRM_MATCH wants.
import type { Version } from '../../ledger/ledger.ts';
import { type LinearRegExp, loadRegExps } from '../../lib/linear-regexp.ts';
import { type AnswerMatch, fillIn } from '../../settings/answer-match.ts';
import type { FailedCheck } from './view.ts';

/** Unix seconds of the year 5138; more are milliseconds, which would be after any reload. */
const LARGEST_SECONDS = 1e11;

export interface WantedAnswer {
  readonly match: AnswerMatch;
  readonly version: Pick<Version, 'revision' | 'digest'>;
  /** Unix milliseconds: a group `time` must not lie before. */
  readonly notBeforeMs: number;
}

/** null: it matches, and reports no time before the reload. */
export async function findFlaw(
  body: string,
  { match, version, notBeforeMs }: WantedAnswer,
): Promise<FailedCheck | null> {
  const shown = `CONFIRM_MATCH "${match.text}"`;
  const compile = await loadRegExps();
  const pattern = fillIn(match, version);
  let regExp: LinearRegExp;
  try {
    regExp = compile(pattern, { multiline: true });
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return { code: 'confirm.match-unsupported', reason: `${shown} cannot be searched for: ${why}` };
  }
  const found = regExp.exec(withPlainLines(body, pattern));
  if (found === null) return { code: 'confirm.no-match', reason: `the answer does not match ${shown}` };
  return 'time' in found.groups ? timeFlaw(found.groups['time'], notBeforeMs, shown) : null;
}

/** `$` matches before a line feed only: where an expression does not look for a carriage return, it plays no part. */
function withPlainLines(body: string, pattern: string): string {
  return pattern.includes('\\r') ? body : body.replaceAll('\r\n', '\n');
}

function timeFlaw(text: string | undefined, notBeforeMs: number, shown: string): FailedCheck | null {
  const seconds = Number(text === undefined || text.trim() === '' ? Number.NaN : text);
  if (!(seconds >= 0 && seconds < LARGEST_SECONDS)) {
    return {
      code: 'confirm.no-time',
      reason: `what the group "time" of ${shown} finds is not a number of Unix seconds`,
    };
  }
  if (!liesBefore(seconds, notBeforeMs)) return null;
  const apart = ((notBeforeMs - seconds * 1000) / 1000).toFixed(1);
  const reason = `the reload time it reports is ${apart} s before the reload`;
  return { code: 'confirm.too-old', reason };
}

/** Applications cut to the digits they show: whole seconds are compared with the second of the reload. */
function liesBefore(seconds: number, notBeforeMs: number): boolean {
  const digits = /\.(\d+)$/.exec(String(seconds))?.[1]?.length ?? 0;
  const unitMs = 1000 / 10 ** Math.min(digits, 3);
  return Math.round(seconds * 1000) < Math.floor(notBeforeMs / unitMs) * unitMs;
}
