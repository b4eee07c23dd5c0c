// Whether an answer of the application is the one that CONFIRM_MATCH wants.
import { runInNewContext } from 'node:vm';
import type { Version } from '../../ledger/ledger.ts';
import { type AnswerMatch, fillIn } from '../../settings/answer-match.ts';
import type { Missing } from './evidence.ts';

/** A regular expression that needs longer than this is broken, and would hold up everything else. */
const MATCH_MS = 50;
/** The limit is one of the clock on the wall, and a machine can be busy with others. */
const MAX_TRIES = 4;
/** Unix seconds of the year 5138; more are milliseconds, which would lie after any telling. */
const LARGEST_SECONDS = 1e11;

export interface Wanted {
  readonly match: AnswerMatch;
  readonly version: Pick<Version, 'revision' | 'digest'>;
  /** Unix milliseconds: a group `time` must not lie before. */
  readonly notBeforeMs: number;
}

/** null: it matches, and tells no time before the telling. */
export function findFlaw(body: string, { match, version, notBeforeMs }: Wanted): Missing | null {
  const shown = `CONFIRM_MATCH "${match.text}"`;
  const found = execute(fillIn(match, version), body);
  if (found === 'too-slow') {
    const reason = `${shown} takes longer than ${MATCH_MS} ms on the answer; write it without a repetition of a repetition`;
    return { code: 'confirm.match-too-slow', reason };
  }
  if (found === null) return { code: 'confirm.no-match', reason: `the answer does not match ${shown}` };
  const groups = found.groups ?? {};
  return 'time' in groups ? timeFlaw(groups['time'], notBeforeMs, shown) : null;
}

/** In a context of its own, where V8 can interrupt a match that would take for ever. */
function execute(pattern: RegExp, text: string): RegExpExecArray | 'too-slow' | null {
  for (let tries = 1; ; tries += 1) {
    const before = process.cpuUsage();
    try {
      return runInNewContext('pattern.exec(text)', { pattern, text }, { timeout: MATCH_MS });
    } catch {
      // Interrupted, or out of the stack it backtracks on; or the machine had no time for us.
      const { user, system } = process.cpuUsage(before);
      if ((user + system) / 1000 >= MATCH_MS / 2 || tries >= MAX_TRIES) return 'too-slow';
    }
  }
}

function timeFlaw(text: string | undefined, notBeforeMs: number, shown: string): Missing | null {
  const seconds = Number(text === undefined || text.trim() === '' ? Number.NaN : text);
  if (!(seconds >= 0 && seconds < LARGEST_SECONDS)) {
    return {
      code: 'confirm.no-time',
      reason: `what the group "time" of ${shown} finds is no number of Unix seconds`,
    };
  }
  if (!liesBefore(seconds, notBeforeMs)) return null;
  const apart = ((notBeforeMs - seconds * 1000) / 1000).toFixed(1);
  const reason = `the reload time it reports lies ${apart} s before the telling`;
  return { code: 'confirm.too-old', reason };
}

/** Applications cut to the digits they show: whole seconds are compared with the second in which it was told. */
function liesBefore(seconds: number, notBeforeMs: number): boolean {
  const digits = /\.(\d+)$/.exec(String(seconds))?.[1]?.length ?? 0;
  const unitMs = 1000 / 10 ** Math.min(digits, 3);
  return Math.round(seconds * 1000) < Math.floor(notBeforeMs / unitMs) * unitMs;
}
