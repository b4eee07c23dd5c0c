/**
 * A pod of a test, run by podman from a Kubernetes manifest. What kubelet does and podman 4 does not is played here: volumes
 * and termination logs as folders of a node, init containers one after the other, native sidecars with their start-up
 * probes, the order of the end. Liveness and readiness probes are for the test to ask.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { until } from '../e2e/until.ts';
import { type Containers, containersOf } from './containers.ts';
import { type Answer, type Asked, type Door, openDoor } from './door.ts';
import type { Images } from './images.ts';
import type { Container, Manifest } from './manifest.ts';
import { createNodeFolder, type Files, type NodeFolder } from './node-folder.ts';
import { podmanManifest } from './podman-manifest.ts';

export interface PodOptions {
  readonly images: Images;
  /** Which image of the test stands for one of the manifest: `{ nginx: …, 'config-sidecar': … }`. */
  readonly as: Files;
  /** By name, then by file. */
  readonly configMaps?: Readonly<Record<string, Files>>;
  /** Whether containers show their names, as kubelet makes them; default yes. */
  readonly namesShown?: boolean;
}

type ProbeKind = 'startupProbe' | 'readinessProbe' | 'livenessProbe';

export interface Pod extends Containers {
  readonly manifest: Manifest;
  readonly node: NodeFolder;
  /** Starts everything in kubelet's order, each as soon as what comes before it lets it. */
  readonly start: () => Promise<void>;
  /** One step of that: an init container to its good end, a native sidecar to its passed probe, any other just started. */
  readonly startNext: (container: string) => Promise<void>;
  /** Whether a probe passes now. */
  readonly passes: (container: string, kind: ProbeKind) => Promise<boolean>;
  /** Asks a server in the pod. */
  readonly ask: (url: string, asked?: Asked) => Promise<Answer>;
  /** Runs a program of this machine in the network of the pod, and gives what it printed. */
  readonly runInNetwork: (program: string, ...words: string[]) => Promise<string>;
  /** Ends everything as kubelet does, native sidecars last and in reverse order; gives the milliseconds it took. */
  readonly stop: () => Promise<number>;
  readonly remove: () => Promise<void>;
}

// Containers on a machine that is busy: a test takes what it takes, each wait in it has its own bound.

let pods = 0;

/** Makes the containers of a pod, none of which runs yet. It is gone when the test ends. */
export async function createPod(manifest: Manifest, options: PodOptions): Promise<Pod> {
  const pod = await layOutPod(manifest, options);
  onTestFinished(async ({ task }) => {
    if (task.result?.state === 'fail') await printLogs(pod);
    await pod.remove();
  });
  return pod;
}

/** The same for several tests; the caller removes it. */
export async function layOutPod(manifest: Manifest, options: PodOptions): Promise<Pod> {
  const { images, as, configMaps = {}, namesShown = true } = options;
  const { podman } = images;
  const name = `${manifest.metadata.name}-${process.pid}-${pods++}`;
  const node = createNodeFolder(manifest, configMaps);
  const file = join(node.path, 'pod.json');
  writeFileSync(file, JSON.stringify(podmanManifest(manifest, { name, images: as, node, namesShown })));
  await podman.must('play', 'kube', '--network', 'none', '--start=false', file);

  const containers = containersOf(podman, (container) => `${name}-${container}`);
  const door = once(() => enter(images, name, join(node.path, 'door')));
  const ask: Pod['ask'] = async (url, asked) => (await door.get()).ask(url, asked);
  const passes = proberOf(manifest, containers, ask);
  const steps = stepsOf(manifest, containers, passes);
  return {
    ...containers,
    ...steps,
    manifest,
    node,
    passes,
    ask,
    runInNetwork: async (program, ...words) => (await door.get()).run(program, ...words),
    remove: async () => {
      await (await door.made())?.close();
      // Removing one that runs takes podman seconds.
      await podman.run('pod', 'stop', '-t', '0', name);
      await podman.run('pod', 'rm', '-f', '-t', '0', name);
      node.remove();
    },
  };
}

/** Prints what the containers of a pod said last: for tests that have failed. */
export async function printLogs(pod: Pod): Promise<void> {
  for (const { name } of partsOf(pod.manifest)) {
    console.error(
      `--- ${name} (ended with ${await pod.exits(name)})\n${(await pod.logs(name)).slice(-3_000)}`,
    );
  }
}

function proberOf(manifest: Manifest, { exec, isRunning }: Containers, ask: Pod['ask']): Pod['passes'] {
  return async (container, kind) => {
    const part = partOf(manifest, container);
    const probe = part[kind];
    if (probe?.exec !== undefined) return (await exec(container, ...probe.exec.command)).code === 0;
    if (probe?.httpGet === undefined) return isRunning(container);
    const { path, port } = probe.httpGet;
    const { status } = await ask(`http://127.0.0.1:${portOf(part, port)}${path}`);
    return status >= 200 && status < 400;
  };
}

function stepsOf(
  manifest: Manifest,
  { startContainer, exits, isRunning, stopContainers, logs }: Containers,
  passes: Pod['passes'],
): Pick<Pod, 'start' | 'startNext' | 'stop'> {
  const { initContainers = [], containers } = manifest.spec;
  const isSidecar = ({ restartPolicy }: Container): boolean => restartPolicy === 'Always';
  const names = (parts: readonly Container[]): string[] => parts.map(({ name }) => name);
  const startNext: Pod['startNext'] = async (container) => {
    await startContainer(container);
    const part = partOf(manifest, container);
    if (!initContainers.includes(part)) return;
    await until(`${container} lets the pod go on`, async () => {
      if (isSidecar(part) ? await passes(container, 'startupProbe') : (await exits(container)).includes(0))
        return true;
      throw new Error(
        `it ended with [${await exits(container)}] so far, and printed\n${(await logs(container)).slice(-2_000)}`,
      );
    });
  };
  return {
    startNext,
    start: async () => {
      for (const container of names([...initContainers, ...containers])) await startNext(container);
    },
    stop: async () => {
      const started: string[] = [];
      for (const container of names(containers)) if (await isRunning(container)) started.push(container);
      let ms = started.length === 0 ? 0 : await stopContainers(...started);
      for (const container of names(initContainers.filter(isSidecar)).reverse()) {
        if (await isRunning(container)) ms += await stopContainers(container);
      }
      return ms;
    },
  };
}

async function enter({ podman }: Images, pod: string, socket: string): Promise<Door> {
  const infra = (await podman.must('pod', 'inspect', '--format', '{{.InfraContainerID}}', pod)).trim();
  const pid = Number(await podman.must('container', 'inspect', '--format', '{{.State.Pid}}', infra));
  if (pid === 0) throw new Error('no container of the pod was started yet');
  return openDoor(pid, socket);
}

/** Makes something when it is asked for first; what could not be made is tried again. */
function once<T>(make: () => Promise<T>): {
  readonly get: () => Promise<T>;
  readonly made: () => Promise<T | null>;
} {
  let made: Promise<T> | null = null;
  return {
    get: () => {
      made ??= make().catch((thrown: unknown) => {
        made = null;
        throw thrown;
      });
      return made;
    },
    made: async () => (await made?.catch(() => null)) ?? null,
  };
}

function partsOf({ spec }: Manifest): readonly Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

function partOf(manifest: Manifest, name: string): Container {
  const found = partsOf(manifest).find((one) => one.name === name);
  if (found === undefined) throw new Error(`the manifest has no container "${name}"`);
  return found;
}

function portOf({ ports = [] }: Container, port: number | string): number {
  return typeof port === 'number' ? port : (ports.find(({ name }) => name === port)?.containerPort ?? 0);
}
