// Kubernetes container names, read off mount tables: recorded texts, and real processes in mount namespaces of their own.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { containerNameIn } from '../../../../src/application/process/container.ts';
import {
  createLookup,
  type LookedUp,
  type Lookup,
  type LookupOptions,
} from '../../../../src/application/process/lookup.ts';
import { processFolder, readMountInfo } from '../../../../src/application/process/proc.ts';
import type { ProcessId } from '../../../../src/ledger/types.ts';
import { createStage, type Stage, until } from '../../../support/application/process/apart.ts';

const POD = '0f3a7c1e-5b7e-4c57-9d0f-2f6b1f0f8a11';

/** Lines as a node with containerd shows them; `root` is a path inside the file system it lies on. */
function table(...mounts: readonly (readonly [root: string, point: string])[]): string {
  const lines = mounts.map(
    ([root, point], index) => `${900 + index} 880 8:1 ${root} ${point} rw - ext4 /dev/sda1 rw`,
  );
  return [
    '880 700 0:120 / / rw - overlay overlay rw',
    '881 880 0:121 / /proc rw - proc proc rw',
    ...lines,
  ].join('\n');
}

describe('the name of a container', () => {
  const hosts = [`/var/lib/kubelet/pods/${POD}/etc-hosts`, '/etc/hosts'] as const;

  test('is in the path of the file for its last words', () => {
    const words = `/var/lib/kubelet/pods/${POD}/containers/web/1a2b3c4d`;
    expect(containerNameIn(table(hosts, [words, '/dev/termination-log']))).toBe('web');
    expect(containerNameIn(table(hosts, [words, '/tmp/last-words']))).toBe('web');
    expect(containerNameIn(table(hosts, [`${words}//deleted`, '/dev/termination-log']))).toBe('web');
  });

  test('also where kubelet has a disk of its own, or its folder another name', () => {
    expect(containerNameIn(table([`/pods/${POD}/containers/web/1a2b3c4d`, '/dev/termination-log']))).toBe(
      'web',
    );
    expect(containerNameIn(table([`/data/k/pods/${POD}/containers/web-2/ff`, '/dev/termination-log']))).toBe(
      'web-2',
    );
  });

  test('is not shown by other mounts', () => {
    expect(containerNameIn(table(hosts))).toBeNull();
    expect(containerNameIn(table(['/srv/containers/web/1a2b3c4d', '/data']))).toBeNull();
    expect(containerNameIn(table(['/var/lib/containers/storage/overlay/x/merged', '/data']))).toBeNull();
    expect(containerNameIn(table([`/var/lib/kubelet/pods/${POD}/containers/web/a/b`, '/data']))).toBeNull();
    expect(containerNameIn('')).toBeNull();
  });

  test('is that of the usual place where a second one is mounted, and none where they contradict each other', () => {
    const own = `/pods/${POD}/containers/web/1a2b3c4d`;
    const other = `/pods/${POD}/containers/db/5e6f7a8b`;
    expect(containerNameIn(table([other, '/other'], [own, '/dev/termination-log']))).toBe('web');
    expect(containerNameIn(table([other, '/other'], [own, '/another']))).toBeNull();
  });
});

/** Starts a program in a mount namespace that looks like that of a container of a pod. */
async function startContained(
  stage: Stage,
  name: string,
  script: string,
  ...words: string[]
): Promise<ProcessId> {
  const folder = stage.at(`pods/${POD}/containers/${name}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/1a2b3c4d`, '');
  writeFileSync(stage.at(`${name}-log`), '');
  // One of the same name may have been started before.
  const mounted = stage.at(`${name}-mounted`);
  rmSync(mounted, { force: true });
  const start = `mount --bind "$1" "$2" && echo yes > "$3" && shift 3 && { ${script}; }`;
  // Without root the same goes through a user namespace.
  const own = process.getuid?.() === 0 ? '-m' : '-rm';
  const paths = [`${folder}/1a2b3c4d`, stage.at(`${name}-log`), mounted];
  const id = stage.start(['unshare', own, 'sh', '-c', start, 'sh', ...paths, ...words]);
  await until('it is mounted', () => stage.read(`${name}-mounted`) === 'yes\n');
  return id;
}

function lookupOf(options: Partial<LookupOptions>): Lookup {
  return createLookup({ signal: null, gateOff: false, ...options });
}

async function found(lookup: Lookup, wanted: number): Promise<LookedUp> {
  return await until(`process ${wanted} is found`, () => {
    const fact = lookup.look(performance.now());
    return fact.kind === 'found' && fact.id.pid === wanted && fact;
  });
}

describe('a container', () => {
  test('alone means its topmost oldest process, among all that run there', async (context) => {
    const stage = createStage(context);
    const program = stage.called(stage.name, '/bin/sleep');
    const script = '"$1" 600 & "$1" 601 & exec "$1" 602';
    const main = await startContained(stage, `${stage.name}-a`, script, program);
    await startContained(stage, `${stage.name}-b`, 'exec "$1" 603', program);
    const lookup = lookupOf({ container: `${stage.name}-a` });
    expect(await found(lookup, main.pid)).toMatchObject({
      name: `${main.pid} (${stage.name})`,
      readiness: { kind: 'ready' },
    });
  });

  test('is known also where a table of mounts is long, longer than a page', async (context) => {
    const stage = createStage(context);
    mkdirSync(stage.at('data'));
    const script =
      'i=0; while [ $i -lt 150 ]; do mount --bind "$1" "$1" || exit 1; i=$((i+1)); done; echo yes > "$2"; exec sleep 600';
    const words = [stage.at('data'), stage.at('all-mounted')];
    const { pid } = await startContained(stage, stage.name, script, ...words);
    await until('all is mounted', () => stage.read('all-mounted') === 'yes\n');
    const text = readMountInfo(processFolder(pid)) ?? '';
    expect(text.length).toBeGreaterThan(10_000);
    expect(text).toBe(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'));
    await found(lookupOf({ container: stage.name }), pid);
  });

  test('is a filter beside a name and a PID file', async (context) => {
    const stage = createStage(context);
    const program = stage.called(stage.name, '/bin/sleep');
    const [a, b] = [`${stage.name}-a`, `${stage.name}-b`];
    const one = await startContained(stage, a, 'exec "$1" 600', program);
    const two = await startContained(stage, b, 'exec "$1" 600', program);
    const both = lookupOf({ name: stage.name });
    await until('both are seen', () => both.look(performance.now()).kind === 'ambiguous');
    await found(lookupOf({ name: stage.name, container: a }), one.pid);
    await found(lookupOf({ name: stage.name, container: b }), two.pid);
    writeFileSync(stage.at('pid'), `${one.pid}`);
    await found(lookupOf({ pidFile: stage.at('pid'), container: a }), one.pid);
    const other = lookupOf({ pidFile: stage.at('pid'), container: b }).look(0);
    expect(other.kind === 'none' && other.reason).toMatch(
      `the PID file "${stage.at('pid')}" holds ${one.pid}, but no process has the number ${one.pid} and belongs to container "${b}" (visible containers: `,
    );
  });

  test('that does not exist is reported together with those that do', async (context) => {
    const stage = createStage(context);
    const lookup = lookupOf({ container: `${stage.name}-web` });
    await startContained(stage, stage.name, 'exec sleep 600');
    // Others on this machine may have names too.
    expect(lookup.look(0)).toEqual({
      kind: 'none',
      reason: expect.stringMatching(
        new RegExp(
          `^no process belongs to container "${stage.name}-web" \\(visible containers: (.*, )?${stage.name}(, .*)?\\)$`,
        ),
      ),
    });
  });

  test('that runs twice is ambiguous: no main process can be chosen', async (context) => {
    const stage = createStage(context);
    await startContained(stage, stage.name, 'exec sleep 600');
    await startContained(stage, stage.name, 'exec sleep 601');
    const lookup = lookupOf({ container: stage.name });
    await until('both are seen', () => lookup.look(performance.now()).kind === 'ambiguous');
  });
});
