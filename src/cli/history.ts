// What the `history` command prints: which generations can be rolled back to, which are blocked, and how the latest changes ended.
import { ageOf, toTheSecond } from '../lib/age.ts';
import { visible } from '../lib/bounds.ts';
import { withCode } from '../lib/errors.ts';
import { shortDigests } from '../lib/short-digests.ts';
import { shownPin } from '../server/shown.ts';
import type { GenerationStatus, SeenStatus, SeenTarget, TargetStatus } from '../server/status-shape.ts';

type History = Pick<SeenTarget, 'pinned' | 'pin' | 'lastKnownGood' | 'generations' | 'blocked' | 'history'>;

/** The same as data, by target; times are ISO 8601, everything newest first. */
export function historyOf({ targets }: SeenStatus): { readonly targets: Readonly<Record<string, History>> } {
  const entries = Object.entries(targets).map(([name, target]) => {
    const { pinned, pin, lastKnownGood, generations, blocked, history } = target;
    const kept = generations === undefined ? {} : { pin: pin ?? null, generations };
    return [name, { pinned, lastKnownGood, ...kept, ...(blocked && { blocked }), history }] as const;
  });
  return { targets: Object.fromEntries(entries) };
}

/** For a person, as of `now` (Unix milliseconds); the newest first. */
export function describeHistory(status: SeenStatus, now: number): string {
  const targets = Object.entries(status.targets);
  const text = targets
    .map(([name, target]) => `${describeTarget(name, target, now).join('\n')}\n`)
    .join('\n');
  return visible(text, { keepsLines: true });
}

function describeTarget(name: string, target: SeenTarget, now: number): readonly string[] {
  const { pin } = target;
  const pinned = pin ? `: pinned ${shownPin(pin)}, until "config-sidecar resume"` : '';
  return [
    `${name}${pinned}`,
    ...(target.generations === undefined
      ? [`kept generations, blocked: ${NOT_SHOWN}`]
      : section('kept generations', generationRows(target.generations, now), 'none was confirmed yet')),
    ...(target.blocked === undefined ? [] : section('blocked', blockRows(target.blocked, now), 'nothing')),
    ...section('outcomes', outcomeRows(target.history, now), 'none yet'),
  ];
}

/** LISTEN has the public part only. */
const NOT_SHOWN =
  'shown on the control socket only; give OUTPUT and STATE_DIR, and run as the user of the sidecar';

type Row = readonly string[];

function section(title: string, rows: readonly Row[], none: string): readonly string[] {
  return rows.length === 0 ? [`${title}: ${none}`] : [`${title}:`, ...aligned(rows)];
}

function generationRows(generations: readonly GenerationStatus[], now: number): readonly Row[] {
  const rows = [...generations]
    .sort((a, b) => b.generation - a.generation)
    .map((one) => {
      const marks = [
        one.lastKnownGood ? 'last known good' : '',
        one.onVolume ? 'on the volume' : '',
        one.pinned ? 'pinned' : '',
      ];
      const { generation, revision, confirmedAt } = one;
      return [`${generation}`, revision, ...moment(confirmedAt, now), marks.filter(Boolean).join(', ')];
    });
  return rows.length === 0 ? [] : [['generation', 'revision', 'confirmed', 'age', ''], ...rows];
}

function blockRows(blocked: TargetStatus['blocked'], now: number): readonly Row[] {
  return blocked.map(({ revision, outcome, message, code, at }) => [
    ...moment(at, now),
    outcome,
    withCode(`revision ${revision}: ${oneLine(message)}`, code),
  ]);
}

function outcomeRows(history: TargetStatus['history'], now: number): readonly Row[] {
  return history.map(({ outcome, at, count, message, code }) => [
    ...moment(at, now),
    count > 1 ? `${outcome} (${count} times)` : outcome,
    withCode(oneLine(message), code),
  ]);
}

function moment(at: string, now: number): readonly [string, string] {
  return [toTheSecond(at), `${ageOf(at, now)} ago`];
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ');
}

/** Columns as wide as their widest cell, the last as it is. */
function aligned(whole: readonly Row[]): readonly string[] {
  const rows = whole.map((row) => row.map(shortDigests));
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length))) ?? [];
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
}
