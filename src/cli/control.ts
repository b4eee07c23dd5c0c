// The commands that control a running sidecar: send the request over its socket, then wait for the result.

import { type SidecarError, toSidecarError, withCode } from '../lib/errors.ts';
import { EXIT } from '../lib/exit-codes.ts';
import { sleep } from '../lib/wait.ts';
import { askFirst, askSocket, askStatusOverSocket } from '../server/ask-socket.ts';
import type { Accepted, Asker, ControlAction, ResumeAccepted, RollbackAccepted } from '../server/control.ts';
import { VERBS } from '../server/control.ts';
import type { TargetStatus } from '../server/status-shape.ts';
import { type AwaitedRequest, outcomeOfRequest, type Result, timedOut } from './await-outcome.ts';

export interface ControlRequest {
  /** The paths of its control sockets, at least one: the first that answers is used. */
  readonly sockets: readonly string[];
  /** null: all; `rollback` and `resume` need one where there are several. */
  readonly target: string | null;
  readonly action: ControlAction;
  /** `sync`: lift blocks and try again. */
  readonly retry: boolean;
  /** `rollback`: null is the newest that is not on the volume. */
  readonly generation: number | null;
  /** `rollback`: who asks and why (null: no reason was given), for the record. */
  readonly asker: Asker;
  /** How long to wait for the verdict, in milliseconds; 0: not at all. */
  readonly waitMs: number;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

const POLL_MS = 100;

/**
 * Sends the request, waits, and returns the result. Exit codes besides those of `Result`: 8 when no sidecar is there, 1 when it does
 * not do what was asked.
 */
export async function sendControl(request: ControlRequest): Promise<Result> {
  try {
    const { socket, status } = await askFirst(request.sockets);
    const targets = Object.keys(status.targets);
    if (request.target !== null || request.action !== 'sync' || targets.length < 2)
      return await sendOne({ ...request, socket });
    const sent = targets.map(async (target) => {
      const { exitCode, text } = await sendOne({ ...request, socket, target });
      return { exitCode, text: `${target}: ${text}` };
    });
    const results = await Promise.all(sent);
    return {
      exitCode: Math.max(...results.map(({ exitCode }) => exitCode)),
      text: results.map(({ text }) => text).join('\n'),
    };
  } catch (thrown) {
    return notThere(request.action, toSidecarError(thrown, 'control'));
  }
}

type AddressedRequest = ControlRequest & { readonly socket: string };

async function sendOne(request: AddressedRequest): Promise<Result> {
  const { status, body } = await askSocket(request.socket, 'POST', urlOf(request));
  const answer: unknown = JSON.parse(body);
  if (status !== 200) return refused(request, status, answer);
  const accepted = answer as Accepted;
  const waits = request.waitMs > 0 && isToWaitFor(request.action, accepted);
  return waits ? await follow(request, accepted) : taken(request, accepted);
}

function urlOf({ action, retry, generation, target, asker: { by, reason } }: ControlRequest): string {
  const parameters = new URLSearchParams({
    ...(target !== null && { target }),
    ...(action === 'sync' && retry && { retry: 'true' }),
    ...(action === 'rollback' && generation !== null && { generation: String(generation) }),
    ...(action === 'rollback' && { by }),
    ...(action === 'rollback' && reason !== null && { reason }),
  });
  return `/${action}${parameters.size === 0 ? '' : `?${parameters}`}`;
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
function refused({ action }: ControlRequest, status: number, answer: unknown): Result {
  const { message, code = '' } = (answer ?? {}) as { readonly message?: unknown; readonly code?: string };
  const text =
    typeof message === 'string' ? message : `Cannot ${VERBS[action]}: the sidecar answered ${status}.`;
  const other = status === 503 ? EXIT.publishing : EXIT.unexpected;
  return { exitCode: EXIT_BY_CODE[code] ?? other, text: withCode(text, code || null) };
}

function notThere(action: ControlAction, { message, code }: SidecarError): Result {
  const isOurs = code.startsWith('control.');
  return {
    exitCode: isOurs ? EXIT.notReady : EXIT.unexpected,
    text: withCode(isOurs ? `Cannot ${VERBS[action]}: ${message}` : message, code),
  };
}

/** Where nothing was pinned there is nothing that could come of it. */
function isToWaitFor(action: ControlAction, accepted: Accepted): boolean {
  return action !== 'resume' || (accepted as ResumeAccepted).wasPinned;
}

function taken({ action, retry }: ControlRequest, accepted: Accepted): Result {
  return { exitCode: EXIT.done, text: sentence() };

  function sentence(): string {
    if (action === 'sync')
      return `Asked to sync${retry ? ', and to try again what was rejected or blocked' : ''}.`;
    if (action === 'resume')
      return (accepted as ResumeAccepted).wasPinned ? 'Follows the source again.' : 'Nothing was pinned.';
    const { generation, revision } = accepted as RollbackAccepted;
    return `Rolls back to generation ${generation} (revision ${revision}), and stays there until "config-sidecar resume".`;
  }
}

async function follow(
  { socket, action, waitMs, signal }: AddressedRequest,
  accepted: Accepted,
): Promise<Result> {
  const generation = action === 'rollback' ? (accepted as RollbackAccepted).generation : null;
  const asked: AwaitedRequest = { action, at: accepted.at, generation };
  const until = Date.now() + waitMs;
  for (;;) {
    const target: TargetStatus | undefined = (await askStatusOverSocket(socket)).targets[accepted.target];
    const result = target === undefined ? null : outcomeOfRequest(asked, target, Date.now());
    if (result !== null) return result;
    if (target !== undefined && (Date.now() >= until || signal.aborted))
      return timedOut(asked, target, waitMs);
    await sleep(POLL_MS, signal);
  }
}
