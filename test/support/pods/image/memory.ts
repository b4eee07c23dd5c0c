// What the image weighs, on the disk and in memory, and that it does its largest jobs within a small limit.
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { until } from '../../e2e/until.ts';
import { startEtcd } from '../../servers/etcd.ts';
import {
  type BuiltImage,
  createVolumes,
  firstProcess,
  LOCKED_DOWN,
  LOCKED_DOWN_ON_HOST,
  startContainer,
  variables,
} from './built.ts';

const MIB = 1024 * 1024;
/** Of the examples. */
const LIMITED = ['--memory', '128m', '--memory-swap', '128m', '--cpus', '0.5'];
const KEYS = 10_000;
const VALUE = 'x'.repeat(100);
const PATIENCE_MS = 60_000;

/** The tests about size. */
export function testMemory(built: () => BuiltImage): void {
  test('the image adds less than 4 MB to its base', async () => {
    const { podman, image, base } = built();
    const size = async (tag: string): Promise<number> =>
      Number(await podman.must('image', 'inspect', '--format', '{{.Size}}', tag));
    const [all, below, node] = [await size(image), await size(base), statSync(process.execPath).size];
    const megabytes = [all, node, all - below].map((bytes) => (bytes / 1e6).toFixed(1));
    console.log(`image: ${megabytes[0]} MB, of which Node.js ${megabytes[1]} MB, ours ${megabytes[2]} MB`);
    expect(all - below).toBeLessThan(4_000_000);
  });

  test('at rest it holds less than 64 MiB of its own, and its init less than 1 MiB', async (context) => {
    const { podman, image } = built();
    const { flags } = createVolumes(context, { 'app.yaml': 'greeting: Hello\n' });
    const id = await startContainer(context, podman, ...LOCKED_DOWN, ...flags, image);
    const logs = async (): Promise<string> => (await podman.run('logs', id)).stdout;
    await until('it has published', async () => (await logs()).includes('"event":"applied"'));
    const first = await firstProcess(podman, id);
    const node = Number(readFileSync(`/proc/${first}/task/${first}/children`, 'utf8'));
    const [init, program] = [anonymous(first), anonymous(node)];
    console.log(`at rest: ${program.toFixed(1)} MiB of its own, its init ${init.toFixed(1)} MiB`);
    expect(program).toBeLessThan(64);
    expect(init).toBeLessThan(1);
  });

  test('a file of 16 MiB and the change of it pass in a container limited to 128 MiB', async (context) => {
    const { podman, image } = built();
    const sixteen = Buffer.alloc(16 * MIB, 'a line of some length\n');
    const { flags, live, input } = createVolumes(context, { 'big.conf': sixteen });
    const settings = variables({ SOURCE: '/in/big.conf', OUTPUT: '/live/big.conf', MAX_SIZE: '16MiB' });
    const id = await startContainer(
      context,
      podman,
      ...LOCKED_DOWN,
      ...LIMITED,
      ...flags,
      ...settings,
      image,
    );
    const published = (): Buffer => readFileSync(join(live, 'big.conf'));
    await until('it is published', () => published().equals(sixteen), PATIENCE_MS);
    const changed = Buffer.from(sixteen).fill('!', 0, 1);
    writeFileSync(join(input, '.next'), changed);
    renameSync(join(input, '.next'), join(input, 'big.conf'));
    await until('the change is published', () => published().equals(changed), PATIENCE_MS);
    expect(await isRunning(built(), id)).toBe('true');
  });

  test('10,000 keys and the change of one pass in a container limited to 128 MiB', async (context) => {
    const { podman, image } = built();
    const etcd = await startEtcd();
    context.onTestFinished(() => etcd.end());
    const keys = Array.from({ length: KEYS }, (_, at) => `/app/folder-${at % 100}/name-${at}`);
    await etcd.putAll(Object.fromEntries(keys.map((key) => [key, VALUE])));
    const { flags, live } = createVolumes(context, {});
    const settings = variables({
      SOURCE: `etcd://127.0.0.1:${etcd.port}/app/`,
      KEYS_AS: 'json',
      LISTEN: '127.0.0.1:0',
    });
    const words = [...LOCKED_DOWN_ON_HOST, ...LIMITED, ...flags, ...settings, image];
    const id = await startContainer(context, podman, ...words);
    const published = (): string => readFileSync(join(live, 'app.json'), 'utf8');
    await until('they are published', () => published().split(VALUE).length === KEYS + 1, PATIENCE_MS);
    await etcd.put('/app/folder-7/name-7', 'another');
    await until('the change is published', () => published().includes('"name-7": "another"'), PATIENCE_MS);
    expect(await isRunning(built(), id)).toBe('true');
  });
}

async function isRunning({ podman }: BuiltImage, id: string): Promise<string> {
  return (await podman.must('inspect', id, '--format', '{{.State.Running}}')).trim();
}

/** MiB that a process has for itself: neither shared with others nor part of a file. */
function anonymous(pid: number): number {
  const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Anonymous:\s+(\d+)/m.exec(memory)?.[1]) / 1024;
}
