// What a sidecar of an example says of itself over HTTP.
import { httpGet, type StatusSeen, type TargetSeen } from '../e2e/sidecar.ts';
import { until } from '../e2e/until.ts';

export interface State {
  /** The target. */
  readonly target: () => Promise<TargetSeen>;
  /** Waits until the latest attempt ended so, with this code, and none is under way; gives the target as it is then. */
  readonly ends: (outcome: string, code?: string) => Promise<TargetSeen>;
}

/** @param port of `LISTEN`, on the loopback interface. `name`: of the target; default: the only one. */
export function stateOf(port: number, name = 'default'): State {
  const target = async (): Promise<TargetSeen> => {
    const { targets }: StatusSeen = JSON.parse((await httpGet(port, '/status')).body);
    const found = targets[name];
    if (found === undefined) throw new Error(`there is no target ${name} yet`);
    return found;
  };
  const ends: State['ends'] = (outcome, code) =>
    until(`it ends as ${outcome}${code === undefined ? '' : ` with ${code}`}`, async () => {
      const seen = await target();
      const isOnTrial = seen.reloadOwed || seen.running === null;
      if (outcome === 'applied' && isOnTrial) throw new Error('a newer one is on trial');
      if (seen.outcome === outcome && (code === undefined || seen.code === code)) return seen;
      throw new Error(`it is ${seen.outcome} with ${seen.code}: ${seen.message}`);
    });
  return { target, ends };
}
