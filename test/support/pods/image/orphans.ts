// What hooks leave behind: Node.js takes no notice of a process whose parent has ended, so the image has an init that does.
import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'vitest';
import { until } from '../../e2e/until.ts';
import { type BuiltImage, createVolumes, LOCKED_DOWN, MAIN, startContainer, variables } from './built.ts';

const HOOKS = 100;
/** So 1,000 in all. */
const ORPHANS_OF_A_HOOK = 10;
/** The shell ends while its children still live; they see that, and end as well. */
const HOOK = `sh -c '${'(while kill -0 $$; do :; done) >/dev/null 2>&1 & '.repeat(ORPHANS_OF_A_HOOK)}printf . >> /live/told'`;
const AT_ONCE = { DEBOUNCE: '0s', RELOAD_MIN_INTERVAL: '0s', LISTEN: 'off' };
/** Prints how many processes in sight have ended and were not collected. */
const COUNT_ZOMBIES = `
  const { readdirSync, readFileSync } = require('node:fs');
  const states = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map((pid) => {
    try { return readFileSync('/proc/' + pid + '/stat', 'utf8').split(') ').at(-1)[0]; } catch { return '-'; }
  });
  console.log(states.filter((state) => state === 'Z').length);
`;
/** A main process which, like many, collects only the children it started itself. */
const APPLICATION = ['node', '-e', 'setInterval(() => {}, 1000)'];

/** The tests about processes that outlive the hook which started them. */
export function testOrphans(built: () => BuiltImage): void {
  test('an orphan stays a zombie where Node.js is the first process, so these hooks do leave some', async (context) => {
    const options = ['--entrypoint', JSON.stringify(['node', MAIN, 'run'])];
    const id = await runHooks(context, built(), { hooks: 2, options });
    await until('zombies are there', async () => (await countZombies(built(), id)) > ORPHANS_OF_A_HOOK);
  });

  test('1,000 orphans are collected when the container is on its own', async (context) => {
    const id = await runHooks(context, built(), { hooks: HOOKS });
    await until('no zombie is left', async () => (await countZombies(built(), id)) === 0);
  });

  test('1,000 orphans are collected beside an application that is PID 1 and collects nothing', async (context) => {
    const { podman, image } = built();
    const app = await startContainer(context, podman, '--entrypoint', '', image, ...APPLICATION);
    const id = await runHooks(context, built(), { hooks: HOOKS, options: ['--pid', `container:${app}`] });
    await until('no zombie is left', async () => (await countZombies(built(), id)) === 0);
  });

  test('1,000 orphans are collected in a pod with one process namespace', async (context) => {
    const { podman } = built();
    const pod = (await podman.must('pod', 'create', '--share', 'pid', '--network', 'none')).trim();
    context.onTestFinished(async () => void (await podman.run('pod', 'rm', '-f', '-t', '0', pod)));
    const id = await runHooks(context, built(), { hooks: HOOKS, options: ['--pod', pod] });
    await until('no zombie is left', async () => (await countZombies(built(), id)) === 0);
  });
}

interface Job {
  readonly hooks: number;
  /** Words for `podman run` besides those that set the sidecar up. */
  readonly options?: readonly string[];
}

/** Starts a sidecar, and changes its source until it has run so many hooks. Gives the container's id. */
async function runHooks(
  context: TestContext,
  built: BuiltImage,
  { hooks, options = [] }: Job,
): Promise<string> {
  const { flags, input, live } = createVolumes(context, { 'app.yaml': 'change: 1\n' });
  const settings = variables({ ...AT_ONCE, RELOAD_COMMAND: HOOK });
  const words = [...LOCKED_DOWN, ...flags, ...settings, ...options, built.image];
  const id = await startContainer(context, built.podman, ...words);
  const told = join(live, 'told');
  for (let hook = 1; hook <= hooks; hook += 1) {
    await until(`hook ${hook} ran`, () => existsSync(told) && statSync(told).size >= hook);
    writeFileSync(join(input, '.next'), `change: ${hook + 1}\n`);
    renameSync(join(input, '.next'), join(input, 'app.yaml'));
  }
  return id;
}

async function countZombies({ podman }: BuiltImage, id: string): Promise<number> {
  return Number(await podman.must('exec', id, 'node', '-e', COUNT_ZOMBIES));
}
