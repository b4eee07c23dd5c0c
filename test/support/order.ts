// The order of the test files: the long ones first, so that none is left over at the end, and the kinds mixed: pods and servers
// of presets keep the processor busy, most of the others wait.
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes long, in seconds, in a run of everything on two cores. What is not here takes what its kind takes. */
export const LONG: Readonly<Record<string, number>> = {
  'test/real/e2e/faults.test.ts': 60,
  'test/real/providers/consul-faults.test.ts': 55,
  'test/real/providers/consul.test.ts': 45,
  'test/real/providers/consul-rules.test.ts': 39,
  'test/real/render/memory.test.ts': 36,
  'test/real/e2e/confirm.test.ts': 34,
  'test/real/e2e/blocked.test.ts': 34,
  'test/real/e2e/rolled-back.test.ts': 34,
  'test/real/providers/etcd.test.ts': 34,
  'test/real/providers/etcd-faults.test.ts': 34,
  'test/real/e2e/damaged-state.test.ts': 32,
  'test/real/server/crowd.test.ts': 32,
  'test/real/server/secrets.test.ts': 30,
  'test/real/providers/kubernetes.test.ts': 30,
  'test/real/e2e/several-outputs.test.ts': 26,
  'test/real/application/process/attacks.test.ts': 24,
  'test/real/providers/git.test.ts': 24,
  'test/real/e2e/rollback.test.ts': 23,
  'test/real/render/built.test.ts': 23,
  'test/real/examples/monitoring.test.ts': 21,
  'test/real/examples/demo.test.ts': 21,
  'test/real/application/early-start.test.ts': 20,
  'test/presets/alertmanager.test.ts': 39,
  'test/presets/lost-requests.test.ts': 32,
  'test/presets/postgresql.test.ts': 26,
  'test/pods/git-paas.test.ts': 39,
  'test/pods/nginx-two-containers.test.ts': 38,
  'test/pods/image.test.ts': 38,
  'test/pods/nginx-signal.test.ts': 34,
};

/** Seconds of one file, where nothing else is known. */
const USUAL: Readonly<Record<string, number>> = { unit: 1, real: 7, presets: 13, pods: 20 };

/**
 * Where the last file of these kinds begins, as a part of the whole: their longest would end last otherwise. The many small
 * files of the unit tests fill what is left.
 */
const SPAN: Readonly<Record<string, number>> = { presets: 0.8, pods: 0.7 };

/** For vitest's `sequence.sequencer`. */
export default class Order extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const kinds = [...new Set(sorted.map(({ project }) => project.name))];
    const placed = kinds.flatMap((kind) =>
      this.#place(
        kind,
        sorted.filter(({ project }) => project.name === kind),
      ),
    );
    return placed.sort((a, b) => a.at - b.at).map(({ file }) => file);
  }

  /** Gives every file of a kind its place between 0 and 1, the long ones first. */
  #place(kind: string, files: readonly TestSpecification[]): { file: TestSpecification; at: number }[] {
    const secondsOf = ({ moduleId }: TestSpecification): number =>
      LONG[relative(this.ctx.config.root, moduleId)] ?? USUAL[kind] ?? 10;
    const timed = files
      .map((file) => ({ file, seconds: secondsOf(file) }))
      .sort((a, b) => b.seconds - a.seconds);
    const whole = timed.reduce((sum, { seconds }) => sum + seconds, 0);
    let before = 0;
    return timed.map(({ file, seconds }) => {
      const at = kind === 'unit' ? 1 : (before / whole) * (SPAN[kind] ?? 1);
      before += seconds;
      return { file, at };
    });
  }
}
