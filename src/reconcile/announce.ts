// What the log says of an event: one line for what happened, and one for an outcome that is news.

import { confirmedSecondsAgo, type Pin, type PublishedAs, type Trial } from '../ledger/ledger.ts';
import { errorFields, type Fields, type Log } from '../lib/log.ts';
import type { AttemptedVersion, Report } from './journal.ts';
import type { Event, State } from './state.ts';

/** How loud an event is; what is not listed is `info`. */
const LEVELS: Readonly<Record<string, keyof Log>> = {
  unchanged: 'debug',
  'serving the last known good': 'warn',
  'generation not kept': 'error',
  pinned: 'warn',
  blocked: 'error',
  'rolled-back': 'error',
  'rollback-failed': 'error',
  'target-died': 'error',
  unconfirmed: 'error',
  drift: 'warn',
  'ledger damaged': 'warn',
  'ledger not written': 'error',
  'reload overdue': 'error',
  rejected: 'error',
  refused: 'error',
  failed: 'error',
  ambiguous: 'error',
  'not-permitted': 'error',
  'stale-mount': 'error',
  ignored: 'warn',
};

const DAMAGED = {
  before: 'One of the two copies of the ledger is damaged; the other one serves.',
  damaged:
    'Both copies of the ledger are damaged: what was blocked or pinned is forgotten, and the application may be notified once more.',
} as const;

const DRIFT = 'The volume does not show what was published; it is restored.';
const DRIFT_OR_OTHERS =
  'The outputs do not show what was published last, or there are other outputs now. They are brought up to date.';

const PUBLISHED: Readonly<Record<PublishedAs, string>> = {
  desired: 'It is on the volume.',
  fallback: 'The last known good configuration is on the volume.',
  'rolled-back': 'The last known good configuration is on the volume again.',
  pinned: 'The generation that was chosen by hand is on the volume.',
};

const NOTIFIED: Readonly<Record<Trial['how'], string>> = {
  told: 'The application was notified.',
  'picked-up': 'The application started after the publication and has read it.',
  published: 'No hook is configured; the application is not notified.',
};

interface Line {
  readonly event: string;
  readonly about: AttemptedVersion | null;
  readonly fields?: Fields;
  /** Default: by the event. */
  readonly level?: keyof Log;
}

/** How the application is notified, for the line that says so. */
export interface Notifying {
  /** `SIGHUP`, `POST http://…`; null: publish only. */
  readonly hook: string | null;
  /** The name of the program with this number; null when it is gone. */
  readonly programOf: (pid: number) => string | null;
}

/** Writes the lines of an event to the log, which names the target. */
export function announce(
  log: Log,
  notifying: Notifying,
): (before: State, event: Event, after: State) => void {
  return (before, event, after) => {
    const lines =
      event.kind === 'notified'
        ? [notified(event.next, after, notifying), ...linesOf(before, event, after)]
        : linesOf(before, event, after);
    for (const { event: name, about, fields, level = LEVELS[name] ?? 'info' } of lines) {
      const { revision, rendering } = about ?? {};
      log[level](name, { revision, rendering, ...fields });
    }
  };
}

/** Which process was notified and how: the pid, the program, and the signal or the hook. */
function notified({ how, process }: Trial, { ledger }: State, { hook, programOf }: Notifying): Line {
  const program = process && programOf(process.pid);
  const fields = {
    how,
    ...(process && { pid: process.pid }),
    ...(program && { program }),
    ...(how === 'told' && hook !== null && { [hook.startsWith('SIG') ? 'signal' : 'hook']: hook }),
    message: NOTIFIED[how],
  };
  // The others have a line of their own, or nothing to say.
  return { event: 'told', about: ledger.published, fields, level: how === 'told' ? 'info' : 'debug' };
}

function linesOf(before: State, event: Event, after: State): readonly Line[] {
  const { published } = after.ledger;
  const { saveError, keepError, reason, obstacle } = after.session;
  const { session } = before;
  const drift = driftOf(after);
  const isOverdue = obstacle?.isOverdue === true && session.obstacle?.isOverdue !== true;
  const lines: readonly (Line | false)[] = [
    ...happened(before, event, after),
    drift !== null &&
      drift !== driftOf(before) && {
        ...{ event: 'drift', about: published },
        fields: { found: drift, ...aboutDrift(after) },
      },
    keepError !== null &&
      session.keepError === null && {
        ...{ event: 'generation not kept', about: published, fields: errorFields(keepError) },
      },
    saveError !== null &&
      session.saveError === null && {
        ...{ event: 'ledger not written', about: null, fields: errorFields(saveError) },
      },
    ...outcomes(before, after),
    isOverdue &&
      reason !== null && { event: 'reload overdue', about: published, fields: errorFields(reason.error) },
  ];
  return lines.filter((line) => line !== false);
}

function happened(before: State, event: Event, after: State): readonly Line[] {
  switch (event.kind) {
    case 'opened': {
      const { from } = event;
      if (from !== 'before' && from !== 'damaged') return [];
      return [{ event: 'ledger damaged', about: null, fields: { from, message: DAMAGED[from] } }];
    }
    case 'published':
      return published(after);
    case 'suspicion-confirmed': {
      if (before.ledger.suspect === null) return [];
      const about = before.ledger.suspect.block;
      const { code, message } = about;
      return [{ event: 'blocked by its verdict', about, fields: { code, message } }];
    }
    case 'pinned':
      return [event.pinned === null ? resumed(before) : pinned(event.pinned, after)];
    default:
      return [];
  }
}

function published({ ledger }: State): readonly Line[] {
  const { published: about, generation } = ledger;
  if (about === null) return [];
  const { as } = about;
  const line = { event: 'published', about, fields: { generation, as, message: PUBLISHED[as] } };
  if (as !== 'fallback') return [line];
  const ageSeconds = confirmedSecondsAgo(ledger, about, about.at) ?? 0;
  const message = `Nothing newer can be had; this was confirmed ${ageSeconds} s ago.`;
  return [line, { event: 'serving the last known good', about, fields: { ageSeconds, message } }];
}

function resumed({ session }: State): Line {
  const fields = { message: 'The source is followed again.' };
  return { event: 'resumed by hand', about: session.candidate?.version ?? null, fields };
}

function pinned({ rendering, generation, by, reason }: Pin, { ledger }: State): Line {
  const about = ledger.kept.find((one) => one.rendering === rendering) ?? null;
  const message = 'This generation stays until "config-sidecar resume".';
  return { event: 'pinned by hand', about, fields: { generation, by, reason, message } };
}

/** What was recorded and is not the same as before, oldest first. */
export function newReports(before: State, after: State): readonly Report[] {
  const known = before.session.journal.history;
  const { history } = after.session.journal;
  if (history === known) return [];
  return history
    .filter((one) => !known.includes(one))
    .filter(({ count }) => count === 1)
    .reverse();
}

function outcomes(before: State, after: State): readonly Line[] {
  return newReports(before, after).map(({ outcome, attempted, ...report }) => ({
    event: outcome,
    about: attempted,
    fields: fieldsOf(report),
  }));
}

function fieldsOf({ code, message, output }: Pick<Report, 'code' | 'message' | 'output'>): Fields {
  const known = code === null ? { message } : { code, message };
  return output === null ? known : { ...known, printed: output };
}

/** Of several outputs, those that do not show what was published: their paths, as far as that is known. */
function aboutDrift({ ledger: { published }, session: { volume, held } }: State): Fields {
  if (volume?.parts === undefined) return { message: DRIFT };
  if (held === null || held.rendering !== published?.rendering) return { message: DRIFT_OR_OTHERS };
  const isAsPublished = ({ path, rendering }: NonNullable<typeof volume.parts>[number]): boolean =>
    held.parts.some((part) => part.path === path && part.generation.rendering === rendering);
  const drifted = volume.parts.filter((part) => !isAsPublished(part)).map(({ path }) => path);
  return { outputs: drifted.join(' '), message: DRIFT };
}

/** What the volume shows in place of what was published. */
function driftOf({ ledger: { published }, session: { volume } }: State): string | null {
  if (published === null || volume === null) return null;
  const found = volume.rendering ?? 'nothing';
  return found === published.rendering ? null : found;
}
