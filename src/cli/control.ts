// The commands that steer a running sidecar: the request over its socket, then the wait for what comes of it.

import { type SidecarError, toSidecarError } from '../lib/errors.ts';
import { EXIT } from '../lib/exit-codes.ts';
import { sleep } from '../lib/wait.ts';
import { askSocket, askStatusOverSocket } from '../server/ask-socket.ts';
import type { Accepted, Action, ResumeAccepted, RollbackAccepted } from '../server/control.ts';
import { VERBS } from '../server/control.ts';
import type { TargetStatus } from '../server/status.ts';
import { type Asked, type Result, settled, unsettled } from './await-outcome.ts';

export interface Steering {
  /** The path of the control socket. */
  readonly socket: string;
  readonly action: Action;
  /** `sync`: lift blocks and try again. */
  readonly retry: boolean;
  /** `rollback`: null is the newest that is not on the volume. */
  readonly generation: number | null;
  /** How long to wait for the verdict, in milliseconds; 0: not at all. */
  readonly waitMs: number;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

const POLL_MS = 100;

/**
 * Asks, waits, and says what came of it. Exit codes besides those of `Result`: 8 when no sidecar is there, 1 when it does
 * not do what was asked.
 */
export async function steerSidecar(steering: Steering): Promise<Result> {
  const { socket, action, waitMs } = steering;
  try {
    const { status, body } = await askSocket(socket, 'POST', urlOf(steering));
    const answer: unknown = JSON.parse(body);
    if (status !== 200) return refused(steering, status, answer);
    const accepted = answer as Accepted;
    if (waitMs <= 0 || !isToWaitFor(action, accepted)) return taken(steering, accepted);
    return await follow(steering, accepted);
  } catch (thrown) {
    return notThere(action, toSidecarError(thrown, 'control'));
  }
}

function urlOf({ action, retry, generation }: Steering): string {
  if (action === 'sync' && retry) return '/sync?retry=true';
  return action === 'rollback' && generation !== null ? `/rollback?generation=${generation}` : `/${action}`;
}

/** A generation or target that does not exist is a wrong word on the command line. */
const EXIT_BY_CODE: Readonly<Partial<Record<string, number>>> = {
  'control.parameter': EXIT.settings,
  'control.target-needed': EXIT.settings,
  'control.unknown-target': EXIT.settings,
  'control.unknown-generation': EXIT.settings,
  'control.nothing-to-go-back-to': EXIT.refused,
  'control.starting': EXIT.notReady,
  'control.not-keeping': EXIT.notReady,
};

/** In the sidecar's own words. */
function refused({ action }: Steering, status: number, answer: unknown): Result {
  const { message, code = '' } = (answer ?? {}) as { readonly message?: unknown; readonly code?: string };
  const text =
    typeof message === 'string' ? message : `Cannot ${VERBS[action]}: the sidecar answered ${status}.`;
  const other = status === 503 ? EXIT.publishing : EXIT.unexpected;
  return { exitCode: EXIT_BY_CODE[code] ?? other, text };
}

function notThere(action: Action, { message, code }: SidecarError): Result {
  const isOurs = code.startsWith('control.');
  return {
    exitCode: isOurs ? EXIT.notReady : EXIT.unexpected,
    text: isOurs ? `Cannot ${VERBS[action]}: ${message}` : message,
  };
}

/** Where nothing was pinned there is nothing that could come of it. */
function isToWaitFor(action: Action, accepted: Accepted): boolean {
  return action !== 'resume' || (accepted as ResumeAccepted).wasPinned;
}

function taken({ action, retry }: Steering, accepted: Accepted): Result {
  return { exitCode: EXIT.done, text: sentence() };

  function sentence(): string {
    if (action === 'sync')
      return `Asked to sync${retry ? ', and to try again what was rejected or blocked' : ''}.`;
    if (action === 'resume')
      return (accepted as ResumeAccepted).wasPinned ? 'Follows the source again.' : 'Nothing was pinned.';
    const { generation, revision } = accepted as RollbackAccepted;
    return `Goes back to generation ${generation} (revision ${revision}), and stays there until "config-sidecar resume".`;
  }
}

async function follow({ socket, action, waitMs, signal }: Steering, accepted: Accepted): Promise<Result> {
  const generation = action === 'rollback' ? (accepted as RollbackAccepted).generation : null;
  const asked: Asked = { action, at: accepted.at, generation };
  const until = Date.now() + waitMs;
  for (;;) {
    const target: TargetStatus | undefined = (await askStatusOverSocket(socket)).targets[accepted.target];
    const result = target === undefined ? null : settled(asked, target, Date.now());
    if (result !== null) return result;
    if (target !== undefined && (Date.now() >= until || signal.aborted))
      return unsettled(asked, target, waitMs);
    await sleep(POLL_MS, signal);
  }
}
