// The containers of one pod, as podman runs them: started, watched, ended.
import { existsSync } from 'node:fs';
import { until } from '../e2e/until.ts';
import type { Podman } from '../servers/podman.ts';

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Containers {
  /** Starts one container and waits for nothing. */
  readonly startContainer: (container: string) => Promise<void>;
  readonly isRunning: (container: string) => Promise<boolean>;
  /** The codes with which it has ended so far, each time. */
  readonly exits: (container: string) => Promise<readonly number[]>;
  /** The number of its first process on this machine; throws while there is none. */
  readonly pid: (container: string) => Promise<number>;
  /** Everything it has printed, over all its starts. */
  readonly logs: (container: string) => Promise<string>;
  /** Runs a command in it. */
  readonly exec: (container: string, ...words: string[]) => Promise<Finished>;
  /** Ends its process from outside and waits for that; it is started again, as by kubelet. */
  readonly kill: (container: string, signal?: NodeJS.Signals) => Promise<void>;
  /** SIGTERM to these at once, SIGKILL after the grace period; gives the time until all have ended. */
  readonly stopContainers: (...containers: string[]) => Promise<number>;
}

/** kubelet's own `terminationGracePeriodSeconds`. */
const GRACE_SECONDS = '30';

/** `full` gives podman's name of a container. */
export function containersOf({ run, must }: Podman, full: (container: string) => string): Containers {
  const inspect = async (container: string, format: string): Promise<string> =>
    (await must('container', 'inspect', '--format', format, full(container))).trim();
  const pid = async (container: string): Promise<number> => {
    const found = Number(await inspect(container, '{{.State.Pid}}'));
    if (found === 0) throw new Error(`container "${container}" does not run`);
    return found;
  };
  return {
    pid,
    startContainer: async (container) => void (await must('start', full(container))),
    isRunning: async (container) => (await inspect(container, '{{.State.Running}}')) === 'true',
    exits: async (container) => {
      const filters = ['--filter', `container=${full(container)}`, '--filter', 'event=died'];
      const lines = await must('events', '--stream=false', ...filters, '--format', '{{.ContainerExitCode}}');
      return lines.split('\n').filter(Boolean).map(Number);
    },
    logs: async (container) => {
      const { stdout, stderr } = await run('logs', full(container));
      return stdout + stderr;
    },
    exec: (container, ...words) => run('exec', full(container), ...words),
    kill: async (container, signal = 'SIGKILL') => {
      const found = await pid(container);
      process.kill(found, signal);
      await until(`process ${found} of ${container} is gone`, () => !existsSync(`/proc/${found}`));
    },
    stopContainers: async (...containers) => {
      const startedAt = performance.now();
      await must('stop', '-t', GRACE_SECONDS, ...containers.map(full));
      return performance.now() - startedAt;
    },
  };
}
