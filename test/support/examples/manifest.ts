// The Kubernetes manifests of the examples: read, and turned into what a container would be started with.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import type { Environment } from './together.ts';

export const EXAMPLES = new URL('../../../examples/', import.meta.url).pathname;

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: ReadonlyArray<{ readonly name: string; readonly value?: string }>;
  readonly restartPolicy?: string;
}

export interface Pod {
  readonly kind: 'Pod';
  readonly spec: {
    readonly initContainers?: readonly Container[];
    readonly containers: readonly Container[];
  };
}

/** The manifests in a file below `examples/`. */
export function readManifests(path: string): readonly unknown[] {
  return loadAll(readFileSync(join(EXAMPLES, path), 'utf8'));
}

/** The one pod of an example. */
export function readPod(path: string): Pod {
  const [pod] = readManifests(path) as readonly Pod[];
  if (pod?.kind !== 'Pod') throw new Error(`${path} has no pod`);
  return pod;
}

function containersOf({ spec }: Pod): readonly Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

/** Paths and addresses of the pod, each with what stands in for it here. */
export type Replaced = Readonly<Record<string, string>>;

/** What a container is started with: its words without the program's own name, and its environment. */
export function startOf(pod: Pod, name: string, replaced: Replaced) {
  const container = containersOf(pod).find((one) => one.name === name);
  if (container === undefined) throw new Error(`the pod has no container "${name}"`);
  const put = (text: string): string =>
    Object.entries(replaced).reduce((value, [from, to]) => value.replaceAll(from, to), text);
  const { command = [], args = [], env = [] } = container;
  const variables: Environment = Object.fromEntries(env.map(({ name, value = '' }) => [name, put(value)]));
  return { words: [...command.slice(1), ...args].map(put), env: variables };
}
