// What the endpoints show and control in these tests: plain data, and a record of the requests.

import { SidecarError } from '../../../src/lib/errors.ts';
import type { Controls } from '../../../src/server/control.ts';
import type { Served } from '../../../src/server/server.ts';
import type {
  GenerationStatus,
  SourceStatus,
  Status,
  TargetStatus,
} from '../../../src/server/status-shape.ts';

export const AT = '2026-01-31T12:00:00.000Z';
/** Three minutes and some later. Unix milliseconds. */
export const NOW = Date.parse(AT) + 200_000;

export const SOURCE: SourceStatus = {
  url: 'file:///source/app.json',
  up: true,
  lastContactAt: AT,
  lastChangeAt: AT,
  error: null,
};

const version = (number: number) => ({
  revision: `r${number}`,
  digest: `sha256:d${number}`,
  rendering: `sha256:f${number}`,
  at: AT,
});

export const TWO: GenerationStatus = {
  ...{ generation: 2, revision: 'r2', rendering: 'sha256:f2', confirmedAt: AT },
  ...{ onVolume: true, pinned: false, lastKnownGood: true },
};
export const ONE: GenerationStatus = {
  ...{ generation: 1, revision: 'r1', rendering: 'sha256:f1', confirmedAt: AT },
  ...{ onVolume: false, pinned: false, lastKnownGood: false },
};

/** A target that runs its second generation, and has told what its hook printed. */
export const TARGET: TargetStatus = {
  output: '/config/app.json',
  application: { pid: 7, program: 'nginx', user: 1000 },
  hook: 'SIGHUP',
  outcome: 'applied',
  code: null,
  message: 'The configuration of the source is on the volume.',
  desired: version(2),
  attempted: version(2),
  running: { ...version(2), evidence: 'answered alive' },
  lastKnownGood: version(2),
  reloadOwed: false,
  pinned: false,
  pin: null,
  underWay: false,
  nextAttemptAt: null,
  sources: [SOURCE],
  template: null,
  preset: null,
  trial: null,
  generations: [TWO, ONE],
  blocked: [],
  history: [
    {
      ...{ outcome: 'applied', code: null, count: 1, at: AT },
      message: 'The configuration of the source is on the volume.',
      output: 'printed by the hook',
    },
  ],
};

/** The whole, around one target. */
export function statusWith(target: TargetStatus): Status {
  return { version: '0.1.0', instance: 'pod-1', ready: true, fresh: true, targets: { default: target } };
}

export interface Recording {
  readonly served: Served;
  /** What was asked for, in words. */
  readonly asked: readonly string[];
  /** What the status says from now on. */
  readonly become: (target: TargetStatus) => void;
}

/** Generations 1 and 2 are kept; resuming finds the target pinned. */
export function recording(more: Partial<Served> = {}): Recording {
  const asked: string[] = [];
  let target = TARGET;
  const controls: Controls = {
    sync: (retry) => void asked.push(retry ? 'sync, retry' : 'sync'),
    rollback: (generation, { by, reason }) => {
      const why = reason === null ? '' : ` (${by}: ${reason})`;
      asked.push(`rollback ${generation ?? 'to the one before'}${why}`);
      if (generation !== null && generation > 2) throw unknown(generation);
      const { at, ...chosen } = version(generation ?? 1);
      const generations = target.generations.map((one) => ({
        ...one,
        pinned: one.rendering === chosen.rendering,
      }));
      target = { ...target, pinned: true, generations };
      return {
        ...{ ...chosen, at: Date.parse(at), input: '', generation: generation ?? 1 },
        confirmedAt: Date.parse(AT),
      };
    },
    resume: () => {
      asked.push('resume');
      return true;
    },
  };
  const served: Served = {
    targets: () => ['default'],
    status: () => statusWith(target),
    details: async () => statusWith(target),
    notReady: async () => [],
    metrics: async () => 'a_metric 1\n',
    controls: () => new Map([['default', controls]]),
    token: () => undefined,
    ...more,
  };
  const become = (next: TargetStatus): void => {
    target = next;
  };
  return { served, asked, become };
}

function unknown(generation: number): SidecarError {
  return new SidecarError(`Cannot roll back to generation "${generation}": it is not kept; there are 2, 1.`, {
    code: 'control.unknown-generation',
    stage: 'control',
  });
}
