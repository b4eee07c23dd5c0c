// The Kustomize component and the Helm library chart, rendered by the real programs into the Deployment of an application that
// knows nothing of them.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadAll, load as parseYaml } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isName } from '../../../src/settings/table.ts';
import { faultsOf } from '../../support/examples/kubernetes-types.ts';
import { EXAMPLES } from '../../support/examples/manifest.ts';
import { restrictedFaults } from '../../support/examples/pod-security.ts';
import { kubernetesFolder } from '../../support/servers/prerequisites.ts';
import { loadSettings } from '../../support/settings/only-target.ts';

type Json = Readonly<Record<string, unknown>>;

interface Container extends Json {
  readonly name: string;
  readonly image: string;
  readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
}

interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: Json & {
        readonly initContainers: readonly Container[];
        readonly containers: readonly Container[];
      };
    };
  };
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kubernetes-example-'));
  cpSync(join(EXAMPLES, 'kubernetes'), folder, { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tool = (program: 'kubectl' | 'helm', ...words: readonly string[]): string =>
  execFileSync(join(kubernetesFolder(), program), [...words], {
    cwd: folder,
    encoding: 'utf8',
    env: { HOME: folder, PATH: process.env['PATH'] },
  });

const WAYS = {
  kustomize: () => tool('kubectl', 'kustomize', 'overlay'),
  helm: () => {
    tool('helm', 'dependency', 'build', 'application-chart');
    return tool('helm', 'template', 'web', 'application-chart');
  },
} as const;

describe.each(Object.keys(WAYS) as (keyof typeof WAYS)[])('%s', (way) => {
  let documents: readonly Rendered[];
  beforeAll(() => {
    documents = (loadAll(WAYS[way]()) as readonly Rendered[]).filter((one) => one !== null);
  });
  const only = (kind: string): Rendered => {
    const [found, ...others] = documents.filter((one) => one.kind === kind);
    if (found === undefined || others.length > 0) throw new Error(`not one ${kind}`);
    return found;
  };
  const pod = () => {
    const template = only('Deployment').spec?.template;
    if (template === undefined) throw new Error('the Deployment has no pods');
    return template;
  };

  test('what it makes is valid by the types of the API', () => {
    expect(documents.map(({ kind }) => kind).sort()).toEqual(['ConfigMap', 'Deployment']);
    expect(faultsOf(Object.fromEntries(documents.map((one) => [`${way}-${one.kind}`, one])))).toBe('');
  });

  test('the sidecar is a native one, beside the application as it was', () => {
    const { initContainers, containers, ...spec } = pod().spec;
    expect(initContainers).toMatchObject([
      {
        name: 'config-sidecar',
        image: 'registry.example/config-sidecar:0.1.0',
        restartPolicy: 'Always',
        startupProbe: { httpGet: { path: '/readyz', port: 'config-sidecar' } },
      },
    ]);
    expect(containers.map(({ name, image }) => [name, image])).toEqual([['web', 'nginx']]);
    expect(spec['shareProcessNamespace']).toBe(true);
  });

  test('the pods pass the restricted level', () => {
    expect(restrictedFaults(pod().spec)).toEqual([]);
  });

  test('both containers have the volume where OUTPUT lies; the application only reads it', async () => {
    const settings = only('ConfigMap');
    const [sidecar] = pod().spec.initContainers;
    const [application] = pod().spec.containers;
    expect(sidecar?.envFrom).toEqual([{ configMapRef: { name: settings.metadata.name } }]);
    expect(sidecar?.volumeMounts).toEqual([{ name: 'config', mountPath: '/config' }]);
    expect(application?.volumeMounts).toEqual([{ name: 'config', mountPath: '/config', readOnly: true }]);
    const env = settings.data ?? {};
    expect(Object.keys(env).filter((name) => !isName(name))).toEqual([]);
    const { settings: loaded, warnings } = await loadSettings({ flags: [], env, cwd: '/' });
    expect(loaded.OUTPUT.path).toMatch(/^\/config\//);
    expect(warnings.filter((warning) => !warning.startsWith('PRESET '))).toEqual([]);
  });

  test('the PodMonitor finds its pods and its port', () => {
    const monitor = parseYaml(readFileSync(join(folder, 'podmonitor.yaml'), 'utf8')) as {
      readonly spec: {
        readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
        readonly podMetricsEndpoints: readonly { readonly port: string; readonly path: string }[];
      };
    };
    expect(pod().metadata.labels).toMatchObject(monitor.spec.selector.matchLabels);
    const [endpoint] = monitor.spec.podMetricsEndpoints;
    expect(endpoint?.path).toBe('/metrics');
    expect(pod().spec.initContainers[0]?.ports).toEqual([{ name: endpoint?.port, containerPort: 9533 }]);
  });
});

test('a Deployment without the label is left as it is', () => {
  const before = readFileSync(join(folder, 'application/deployment.yaml'), 'utf8');
  const overlay = join(folder, 'unlabelled');
  cpSync(join(folder, 'application'), join(overlay, 'application'), { recursive: true });
  cpSync(join(folder, 'component'), join(overlay, 'component'), { recursive: true });
  const unlabelled = before.replace(/ {2}labels:\n {4}config-sidecar: "true"\n/, '');
  expect(unlabelled).not.toBe(before);
  execFileSync(
    'sh',
    ['-c', 'cat > application/deployment.yaml && printf %s "$KUSTOMIZATION" > kustomization.yaml'],
    {
      cwd: overlay,
      input: unlabelled,
      env: {
        PATH: process.env['PATH'],
        KUSTOMIZATION: 'resources: [application]\ncomponents: [component]\n',
      },
    },
  );
  expect(tool('kubectl', 'kustomize', 'unlabelled')).not.toContain('config-sidecar');
});

test('without settings the chart says what is missing', () => {
  expect(() =>
    tool('helm', 'template', 'web', 'application-chart', '--set', 'configSidecar.settings=null'),
  ).toThrow(/configSidecar\.settings is needed: at least SOURCE and OUTPUT/);
});
