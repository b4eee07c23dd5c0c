// The exit codes of the contract, and which of them an error means.
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
