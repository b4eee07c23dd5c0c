// The manifests of the examples, as far as the tests look into them, and copies of them with something changed.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { load as parseYaml } from 'js-yaml';

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: number | string };
  readonly exec?: { readonly command: readonly string[] };
}

export interface Mount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
  readonly subPath?: string;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly volumeMounts?: readonly Mount[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  /** Of an init container: `Always` makes it a native sidecar. */
  readonly restartPolicy?: 'Always';
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
}

export interface Volume {
  readonly name: string;
  readonly emptyDir?: object;
  readonly configMap?: { readonly name: string };
  readonly hostPath?: { readonly path: string; readonly type: string };
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: 'Pod';
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly shareProcessNamespace?: boolean;
    readonly securityContext?: { readonly runAsUser?: number; readonly fsGroup?: number };
    readonly hostAliases?: readonly { readonly ip: string; readonly hostnames: readonly string[] }[];
    readonly initContainers?: readonly Container[];
    readonly containers: readonly Container[];
    readonly volumes?: readonly Volume[];
  };
}

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url));

/** The `pod.yaml` of an example. */
export function readManifest(example: string): Manifest {
  return parseYaml(readExample(example, 'pod.yaml')) as Manifest;
}

/** The text of a file of an example. */
export function readExample(example: string, name: string): string {
  return readFileSync(`${EXAMPLES}/${example}/${name}`, 'utf8');
}

/** A copy with each container, init containers too, replaced by what the function makes of it. */
export function changeContainers(manifest: Manifest, change: (container: Container) => Container): Manifest {
  const { spec } = manifest;
  const { initContainers, containers } = spec;
  return {
    ...manifest,
    spec: {
      ...spec,
      ...(initContainers && { initContainers: initContainers.map(change) }),
      containers: containers.map(change),
    },
  };
}

/** A copy in which every container of that image has these variables as well, or instead of its own. */
export function withEnv(manifest: Manifest, image: string, env: Readonly<Record<string, string>>): Manifest {
  const added = Object.entries(env).map(([name, value]) => ({ name, value }));
  return changeContainers(manifest, (one) =>
    one.image === image
      ? { ...one, env: [...(one.env ?? []).filter(({ name }) => !(name in env)), ...added] }
      : one,
  );
}

/** A copy in which native sidecars stand before everything else, reachable by their names: stores, sources. */
export function withServices(manifest: Manifest, ...services: readonly Container[]): Manifest {
  const { spec } = manifest;
  return {
    ...manifest,
    spec: {
      ...spec,
      hostAliases: [{ ip: '127.0.0.1', hostnames: services.map(({ name }) => name) }],
      initContainers: [
        ...services.map((one) => ({ ...one, restartPolicy: 'Always' as const })),
        ...(spec.initContainers ?? []),
      ],
    },
  };
}
