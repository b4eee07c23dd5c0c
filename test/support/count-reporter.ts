// Closes a run with plain lines for those who read only the end: how many passed, and whether the run was whole.
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** The tag of tests that only root can run. */
const ROOT = 'root';

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string, of = tests): number =>
      of.filter((test) => test.result().state === state).length;
    const broken = modules.filter((module) => module.state() === 'failed' && module.errors().length > 0);
    const needRoot = tests.filter(
      (test) => test.tags.includes(ROOT) && test.result().state === 'skipped' && process.getuid?.() !== 0,
    );
    const skipped = count('skipped') + count('pending') - needRoot.length;
    const parts = [
      `${count('passed')} passed`,
      `${count('failed') + broken.length} failed`,
      `${skipped} skipped`,
      ...(needRoot.length === 0 ? [] : [`${needRoot.length} need root`]),
    ];
    console.log(parts.join(', '));
    if (needRoot.length > 0) {
      console.log(`This run was not whole. Only root can run these: ${listed(needRoot)}.`);
    }
    // A person who runs the tests may choose some; an automatic run that leaves some out proves less than it seems to.
    if (process.env['CI'] && needRoot.length + skipped > 0) process.exitCode = 1;
  }
}

/** `62 in presets, 3 in test/real/publish/trouble.test.ts` */
function listed(tests: readonly TestCase[]): string {
  const counts = new Map<string, number>();
  for (const { project, module } of tests) {
    const place = project.name === 'real' ? module.relativeModuleId : project.name;
    counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  return [...counts].map(([place, number]) => `${number} in ${place}`).join(', ');
}
