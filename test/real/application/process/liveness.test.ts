// Who lives, and whose children: what a reload is judged by.
import { expect, test } from 'vitest';
import { childrenOf, isLiving } from '../../../../src/application/process/liveness.ts';
import { listProcesses, processFolder, readRow } from '../../../../src/application/process/proc.ts';
import { createStage, makeZombie, until } from '../../../support/application/process/apart.ts';

test('a process lives until it ended, and not as a zombie or as another one with its number', async (context) => {
  const stage = createStage(context);
  const id = stage.start(['/bin/sleep', '600']);
  expect(isLiving(id)).toBe(true);
  expect(isLiving({ ...id, startTicks: id.startTicks - 1 })).toBe(false);
  process.kill(id.pid, 'SIGKILL');
  await until('it ended', () => !isLiving(id));
  const { pid, startTicks } = await makeZombie(stage, 'sleep');
  expect(() => process.kill(pid, 0)).not.toThrow();
  expect(isLiving({ pid, startTicks })).toBe(false);
  for (const none of [0, -1, 2 ** 31 - 1]) expect(isLiving({ pid: none, startTicks: 1 })).toBe(false);
});

test('its children are the living ones, each with its start time; grandchildren, zombies and unrelated processes are not', async (context) => {
  const stage = createStage(context);
  const script = 'sleep 600 & sh -c "sleep 601; true" & sleep 602 & echo $! > "$0"; exec sleep 603';
  const parent = stage.start(['sh', '-c', script, stage.at('third')]);
  await until('it has its children', () => stage.read('third').endsWith('\n'));
  await until('it became another program', () => commOf(parent.pid) === 'sleep');
  // Not before: a shell collects its dead.
  process.kill(Number(stage.read('third')), 'SIGKILL');
  const children = await until('they are what they will be', () => {
    const seen = childrenOf(parent);
    return seen.length === 2 && seen.some(({ pid }) => commOf(pid) === 'sh') && seen;
  });
  const states = listProcesses()?.rows.flatMap(({ ppid, state }) => (ppid === parent.pid ? [state] : []));
  expect(states).toContain('Z');
  for (const child of children) {
    expect(readRow(processFolder(child.pid))).toMatchObject({ ...child, ppid: parent.pid });
    process.kill(child.pid, 'SIGKILL');
  }
  await until('they ended', () => childrenOf(parent).length === 0);
  expect(childrenOf({ ...parent, startTicks: parent.startTicks + 1 })).toEqual([]);
});

function commOf(pid: number): string | undefined {
  return readRow(processFolder(pid))?.comm;
}
