// The sidecar in a pod, seen through its own command and its log.
import type { LogLine, TargetSeen as Seen, StatusSeen } from '../e2e/sidecar.ts';
import { until } from '../e2e/until.ts';
import type { Pod } from './pod.ts';

/** With what its end-to-end tests have no use for. */
interface TargetSeen extends Seen {
  /** Whether something is being done for the target at this moment. */
  readonly underWay: boolean;
}

/** Its command, for exec. */
export const COMMAND = ['node', '/opt/config-sidecar/dist/main.js'];

export interface PodSidecar {
  readonly status: () => Promise<StatusSeen>;
  /** The state of its one target. */
  readonly target: () => Promise<TargetSeen>;
  /** Waits for an outcome, of this revision of the source where one is given; gives the target as it was then. */
  readonly outcome: (outcome: string, revision?: string) => Promise<TargetSeen>;
  /** Waits for an outcome after which nothing is under way or wanted. */
  readonly settled: (outcome: string) => Promise<TargetSeen>;
  readonly logs: (event?: string) => Promise<readonly LogLine[]>;
}

/** The sidecar in this container of the pod. */
export function sidecarIn(pod: Pod, { container = 'config-sidecar' } = {}): PodSidecar {
  // By its own command, which sees more than a caller over the port.
  const status = async (): Promise<StatusSeen> => {
    const { stdout, stderr } = await pod.exec(container, ...COMMAND, 'status', '--json');
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout);
  };
  const target = async (): Promise<TargetSeen> => {
    const found = (await status()).targets['default'];
    if (found === undefined) throw new Error('there is no target yet');
    return found as TargetSeen;
  };
  return {
    status,
    target,
    outcome: (outcome, revision) =>
      until(`the outcome is ${outcome}`, async () => {
        const seen = await target();
        if (seen.outcome !== outcome) throw new Error(`it is ${seen.outcome}: ${seen.message}`);
        const { desired } = seen;
        if (revision !== undefined && (desired?.revision !== revision || seen.underWay)) {
          throw new Error(`it is that of revision ${desired?.revision}`);
        }
        return seen;
      }),
    settled: (outcome) =>
      until(`all has settled as ${outcome}`, async () => {
        const seen = await target();
        const { desired, running, underWay, message } = seen;
        if (seen.outcome !== outcome) throw new Error(`it is ${seen.outcome}: ${message}`);
        return !underWay && desired?.rendering === running?.rendering && seen;
      }),
    logs: async (event) => {
      const lines = (await pod.logs(container)).split('\n').filter((line) => /^\{.*\}$/.test(line));
      return lines
        .map((line): LogLine => JSON.parse(line))
        .filter((line) => event === undefined || line.event === event);
    },
  };
}
