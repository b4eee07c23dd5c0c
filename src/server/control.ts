// What may be asked of a running sidecar: the controls of its targets, and the requests that use them. Neither knows
// whether the request came through LISTEN or through the Unix socket.

import type { KeptGeneration } from '../ledger/ledger.ts';
import { cut, visible } from '../lib/bounds.ts';
import { SidecarError } from '../lib/errors.ts';
import { isoTime } from '../lib/iso-time.ts';

/** Who rolls back to a generation, and why. */
export interface Asker {
  readonly by: string;
  /** null: no reason was given. */
  readonly reason: string | null;
}

/** The control surface of one target. */
export interface Controls {
  /** Reads source and templates now; `retry` lifts blocks and tries again what was rejected. */
  readonly sync: (retry: boolean) => void;
  /**
   * Rolls back to a kept generation and stays there; null: the newest confirmed one that is not on the volume. Written to
   * the disk when it returns.
   * @throws SidecarError stage `control`, codes `control.nothing-to-go-back-to`, `control.unknown-generation`,
   * `control.not-keeping`; or `ledger.write`, and then nothing has changed.
   */
  readonly rollback: (generation: number | null, asker: Asker) => KeptGeneration;
  /** Follows the source again. @returns false when it was not pinned. @throws SidecarError as `rollback`. */
  readonly resume: () => boolean;
}

/** The targets by their names, as they are now. */
export type ControlsByTarget = ReadonlyMap<string, Controls>;

export type ControlAction = 'sync' | 'rollback' | 'resume';

/** Code of the error that says that there is no such target. */
export const UNKNOWN_TARGET = 'control.unknown-target';

/** What a request was taken as; the rest is still to come, and is seen in the status. */
export interface Accepted {
  /** Where several were asked at once: their names, separated by blanks. */
  readonly target: string;
  /** When it was taken, by the sidecar's clock: outcomes from then on are about it. ISO 8601. */
  readonly at: string;
}

export interface RollbackAccepted extends Accepted {
  readonly generation: number;
  readonly revision: string;
  readonly rendering: string;
  readonly confirmedAt: string;
}

export interface ResumeAccepted extends Accepted {
  readonly wasPinned: boolean;
}

const PARAMETERS: Readonly<Record<ControlAction, readonly string[]>> = {
  sync: ['target', 'retry'],
  rollback: ['target', 'generation', 'reason', 'by'],
  resume: ['target'],
};

/** What a sentence calls it: `Cannot <verb>`. */
export const VERBS: Readonly<Record<ControlAction, string>> = {
  sync: 'sync',
  rollback: 'roll back',
  resume: 'resume',
};

/**
 * Carries out a request.
 * @param query what stands behind the `?`: `target=NAME` (default: the only one; `sync`: all), `retry=true`, `generation=N`,
 * `reason=TEXT`, `by=NAME`.
 * @param from where the request came from, for the record.
 * @throws SidecarError stage `control`: `control.parameter`, `control.unknown-target`, `control.target-needed`,
 * `control.starting`; or what the control throws.
 */
export function handleControl(
  action: ControlAction,
  query: string,
  { targets, from }: { readonly targets: ControlsByTarget; readonly from: string },
): Accepted {
  const parameters = parametersOf(action, query);
  const name = parameters.get('target') ?? null;
  const at = isoTime(Date.now());
  if (action === 'sync' && name === null && targets.size > 1) {
    const retry = flagOf(action, parameters.get('retry') ?? null);
    for (const controls of targets.values()) controls.sync(retry);
    return { target: [...targets.keys()].join(' '), at };
  }
  const [target, controls] = chooseTarget(action, name, targets);
  switch (action) {
    case 'sync':
      controls.sync(flagOf(action, parameters.get('retry') ?? null));
      return { target, at };
    case 'rollback': {
      const wanted = generationOf(action, parameters.get('generation') ?? null);
      const kept = controls.rollback(wanted, askerOf(parameters, from));
      const { generation, revision, rendering, confirmedAt } = kept;
      const accepted: RollbackAccepted = {
        ...{ target, at, generation, revision, rendering },
        confirmedAt: isoTime(confirmedAt),
      };
      return accepted;
    }
    case 'resume': {
      const accepted: ResumeAccepted = { target, at, wasPinned: controls.resume() };
      return accepted;
    }
  }
}

/** A misspelt parameter that is passed over would do something other than what was asked for. */
function parametersOf(action: ControlAction, query: string): ReadonlyMap<string, string> {
  const known = PARAMETERS[action];
  const found = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (!known.includes(name))
      throw refusal(action, `there is no parameter ${quoted(name)}; there is ${known.join(', ')}`);
    if (found.has(name)) throw refusal(action, `${quoted(name)} is given twice`);
    found.set(name, value);
  }
  return found;
}

const LONGEST_NAME = 100;
const LONGEST_REASON = 300;

/** In one line each: they are shown in tables and logs. */
function askerOf(parameters: ReadonlyMap<string, string>, from: string): Asker {
  const text = (name: string, max: number): string => visible(cut(parameters.get(name)?.trim() ?? '', max));
  const name = text('by', LONGEST_NAME);
  const reason = text('reason', LONGEST_REASON);
  return { by: name === '' ? from : `${name} (${from})`, reason: reason === '' ? null : reason };
}

function chooseTarget(
  action: ControlAction,
  name: string | null,
  targets: ControlsByTarget,
): readonly [string, Controls] {
  const names = [...targets.keys()];
  if (names.length === 0) {
    const message = `Cannot ${VERBS[action]}: the sidecar is starting. Try again in a moment.`;
    throw new SidecarError(message, { code: 'control.starting', stage: 'control' });
  }
  const [only = ''] = names;
  if (name === null && names.length > 1) {
    const message = `Cannot ${VERBS[action]} without a target: there are ${names.join(', ')}. Name one: --target ${only}, or target=${only} in the URL.`;
    throw new SidecarError(message, { code: 'control.target-needed', stage: 'control' });
  }
  const chosen = name ?? only;
  const controls = targets.get(chosen);
  if (controls === undefined) {
    const message = `Cannot ${VERBS[action]} target ${quoted(chosen)}: there is no such target; there is ${names.join(', ')}.`;
    throw new SidecarError(message, { code: UNKNOWN_TARGET, stage: 'control' });
  }
  return [chosen, controls];
}

function flagOf(action: ControlAction, text: string | null): boolean {
  if (text === null || text === 'false') return false;
  if (text === 'true') return true;
  throw refusal(action, `"retry" is true or false, not ${quoted(text)}`);
}

/** The number of a generation as it is written by people; null: none is given. */
export function generationOf(action: ControlAction, text: string | null): number | null {
  if (text === null) return null;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw refusal(
    action,
    `${quoted(text)} is not a generation number; "config-sidecar history" shows their numbers`,
  );
}

function refusal(action: ControlAction, reason: string): SidecarError {
  return new SidecarError(`Cannot ${VERBS[action]}: ${reason}.`, {
    code: 'control.parameter',
    stage: 'control',
  });
}

const LONGEST_SHOWN = 60;

function quoted(text: string): string {
  return JSON.stringify(text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text);
}
