// Trials, sightings and servers of the confirmation tests.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';
import {
  Confirmation,
  type ConfirmResult,
  type ConfirmSettings,
  type Sightings,
} from '../../../../src/application/confirm/confirm.ts';
import { bootId, bootTicks } from '../../../../src/application/process/boot-clock.ts';
import type { Trial, Version } from '../../../../src/ledger/ledger.ts';
import type { ProcessId } from '../../../../src/ledger/types.ts';

export const VERSION: Version = { revision: '7', digest: 'sha256:d1', rendering: 'sha256:r1', at: 1_000 };

/** The defaults, of which nothing needs a network. */
const SETTINGS: ConfirmSettings = {
  periodMs: 3_000,
  timeoutMs: 30_000,
  workers: false,
  successes: 2,
  url: undefined,
  match: undefined,
};

export function confirmation(settings: Partial<ConfirmSettings> = {}, resumed = false): Confirmation {
  return new Confirmation({ settings: () => ({ ...SETTINGS, ...settings }), resumed });
}

/** A trial that begins now, of a process that was notified. */
export function trialOf(process: ProcessId | null, over: Partial<Trial> = {}): Trial {
  const at = over.at ?? Date.now();
  return {
    process,
    how: 'told',
    restarts: false,
    children: [],
    at,
    moment: { bootId: bootId(), ticks: bootTicks() },
    notBefore: at,
    evidence: [],
    ...over,
  };
}

/** What is seen when the trial is that old. */
export function atAge(
  { at, moment, process }: Trial,
  ms: number,
  current: ProcessId | null = process,
): Sightings {
  return { nowMs: at + ms, ticks: moment.ticks === null ? null : moment.ticks + ms / 10, current };
}

export function never(): AbortSignal {
  return new AbortController().signal;
}

/** Looks as often as it is asked to, in the trial's own time, until there is a verdict. */
export async function verdictOn(
  one: Confirmation,
  trial: Trial,
  { startMs = 0, version = VERSION }: { startMs?: number; version?: Version } = {},
): Promise<{ readonly result: ConfirmResult; readonly atMs: number; readonly looks: number }> {
  let atMs = startMs;
  for (let looks = 1; ; looks += 1) {
    const result = await one.look(trial, version, atAge(trial, atMs), never());
    if (result.kind !== 'pending') return { result, atMs, looks };
    if (looks > 10_000) throw new Error('no verdict after 10,000 looks');
    // The boot clock has a grain of 10 ms.
    atMs += Math.ceil(result.inMs / 10) * 10;
  }
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Answers with the list in turn, its last entry for ever. */
export async function serve(
  ...answers: readonly (Answer | number | string)[]
): Promise<{ readonly url: string; readonly count: () => number }> {
  let count = 0;
  const server = createServer((request, response) => {
    const answer = answers[Math.min(count, answers.length - 1)] ?? 200;
    count += 1;
    if (typeof answer === 'function') answer(request, response);
    else if (typeof answer === 'number') response.writeHead(answer).end();
    else response.end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/state`, count: () => count };
}

/** A URL at which nothing listens. */
export async function nowhere(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/state`;
}
