// The exit codes of the contract, and which of them an error means.
import type { Outcome } from './decide.ts';
import type { SidecarError, Stage } from './errors.ts';

export const EXIT = {
  done: 0,
  unexpected: 1,
  settings: 2,
  source: 3,
  refused: 4,
  publishing: 5,
  reload: 6,
  differences: 7,
  notReady: 8,
} as const;

const BY_STAGE: Readonly<Record<Stage, number>> = {
  settings: EXIT.settings,
  source: EXIT.source,
  render: EXIT.refused,
  validate: EXIT.refused,
  publish: EXIT.publishing,
  ledger: EXIT.publishing,
  reload: EXIT.reload,
  control: EXIT.unexpected,
  internal: EXIT.unexpected,
};

/** The exit code an error means, by where it happened. */
export function exitCodeOf({ stage }: SidecarError): number {
  return BY_STAGE[stage];
}

/** For an outcome after which `once` ends; undefined where there is more to come. */
export const EXIT_BY_OUTCOME: Readonly<Partial<Record<Outcome, number>>> = {
  applied: EXIT.done,
  unchanged: EXIT.done,
  'picked-up': EXIT.done,
  rejected: EXIT.refused,
  blocked: EXIT.refused,
  pinned: EXIT.done,
  'rolled-back': EXIT.reload,
  'rollback-failed': EXIT.reload,
  'target-died': EXIT.reload,
  unconfirmed: EXIT.reload,
  refused: EXIT.reload,
  ambiguous: EXIT.reload,
  'not-permitted': EXIT.reload,
  ignored: EXIT.reload,
  'stale-mount': EXIT.reload,
  // An application that is not there yet reads the file when it starts.
  'no-target': EXIT.done,
  'held-back': EXIT.done,
};
