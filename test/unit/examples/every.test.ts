// What holds for every example: a README of a few lines, and manifests whose parts fit together. Tests in test/real/examples and
// test/pods run them.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isName } from '../../../src/settings/table.ts';
import { restrictedFaults } from '../../support/examples/pod-security.ts';
import { type Container, type Manifest, readManifest } from '../../support/pods/manifest.ts';
import { loadSettings } from '../../support/settings/only-target.ts';

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url));
const NAMES = readdirSync(EXAMPLES, { withFileTypes: true }).flatMap((one) =>
  one.isDirectory() ? [one.name] : [],
);
const PODS = NAMES.filter((name) => existsSync(join(EXAMPLES, name, 'pod.yaml')));

test.each(NAMES)('%s has a README of at most 40 lines that begins with a title', (name) => {
  const lines = readFileSync(join(EXAMPLES, name, 'README.md'), 'utf8')
    .trimEnd()
    .split('\n');
  expect(lines.length).toBeLessThanOrEqual(40);
  expect(lines[0]).toMatch(/^# \S/);
});

describe.each(PODS)('%s/pod.yaml', (name) => {
  const manifest = readManifest(name);
  const { spec } = manifest;
  const all = [...(spec.initContainers ?? []), ...spec.containers];
  const sidecars = all.filter((one) => one.image.startsWith('config-sidecar'));

  test('is a pod of that name, with a sidecar in it', () => {
    expect(manifest).toMatchObject({ apiVersion: 'v1', kind: 'Pod', metadata: { name } });
    expect(sidecars.length).toBeGreaterThan(0);
  });

  test('passes the restricted Pod Security level, and has no token that nothing uses', () => {
    const faults = restrictedFaults({ ...spec });
    // A source in Kubernetes is read with it.
    const isUsed = sidecars.some(({ env = [] }) => env.some(({ value }) => value.includes('k8s://')));
    expect(faults).toEqual(isUsed ? ['automountServiceAccountToken is not false'] : []);
  });

  test('gives the sidecar the resources that the image was tried with', () => {
    for (const one of spec.containers.filter((each) => sidecars.includes(each))) {
      expect(one).toMatchObject({ resources: { limits: { cpu: '500m', memory: '128Mi' } } });
    }
  });

  test('mounts directories that it has, and no single file, which would never change', () => {
    const volumes = spec.volumes?.map((volume) => volume.name);
    for (const { name: mounted, subPath } of all.flatMap((one) => one.volumeMounts ?? [])) {
      expect(subPath).toBeUndefined();
      expect(volumes).toContain(mounted);
    }
  });

  test('has one user wherever one process signals another', () => {
    if (spec.shareProcessNamespace !== true) return;
    expect(spec.securityContext?.runAsUser).toBeGreaterThan(0);
    for (const one of all) expect(one).not.toHaveProperty('securityContext.runAsUser');
  });

  test.each(sidecars.map((one) => [one.name, one] as const))(
    'gives %s settings that it takes',
    async (_, one) => {
      const env = placed(envOf(one), one, manifest);
      expect(Object.keys(env).filter((variable) => !isName(variable))).toEqual([]);
      const { warnings } = await loadSettings({ flags: [], env, cwd: '/' });
      // Which programs an image holds is not for the manifest to say.
      expect(warnings.filter((warning) => !warning.startsWith('PRESET '))).toEqual([]);
    },
  );

  function placed(
    env: Readonly<Record<string, string>>,
    { volumeMounts = [] }: Container,
    { spec: { volumes = [] } }: Manifest,
  ): Record<string, string> {
    const empty = mkdtempSync(join(tmpdir(), 'example-test-'));
    onTestFinished(() => rmSync(empty, { recursive: true, force: true }));
    const places = volumeMounts.map((mount) => {
      const own = join(EXAMPLES, name, basename(mount.mountPath));
      const files = existsSync(own) ? own : join(EXAMPLES, name);
      const isEmpty = volumes.find((volume) => volume.name === mount.name)?.emptyDir !== undefined;
      if (!isEmpty) return [mount.mountPath, files] as const;
      mkdirSync(join(empty, mount.name));
      return [mount.mountPath, join(empty, mount.name)] as const;
    });
    const byPath = new Map<string, string>(places);
    // In one go: what stands in a place already is not moved once more.
    const mounted = new RegExp(`(?<![\\w.])(${[...byPath.keys()].join('|')})(?=/)`, 'g');
    const place = (text: string): string => text.replaceAll(mounted, (from) => byPath.get(from) ?? from);
    return Object.fromEntries(Object.entries(env).map(([key, value]) => [key, place(value)]));
  }
});

function envOf({ env = [] }: Container): Record<string, string> {
  return Object.fromEntries(env.map((one) => [one.name, one.value]));
}

test('the restricted level is what its rules say: each broken rule is named', () => {
  const strict = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const good = {
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'a', securityContext: strict }],
  };
  expect(restrictedFaults(good)).toEqual([]);
  const bad = {
    hostPID: true,
    volumes: [{ name: 'v', hostPath: { path: '/' } }],
    containers: [
      { name: 'a', ports: [{ containerPort: 1, hostPort: 1 }] },
      {
        name: 'b',
        securityContext: {
          ...strict,
          privileged: true,
          runAsUser: 0,
          capabilities: { drop: ['ALL'], add: ['SYS_PTRACE'] },
        },
      },
    ],
  };
  expect(restrictedFaults(bad)).toEqual([
    'hostPID',
    'automountServiceAccountToken is not false',
    'volume v: hostPath',
    'container a: allowPrivilegeEscalation is not false',
    'container a: runAsNonRoot is not true',
    'container a: no seccompProfile',
    'container a: does not drop ALL',
    'container a: hostPort',
    'container b: privileged',
    'container b: runAsNonRoot is not true',
    'container b: runAsUser is 0',
    'container b: no seccompProfile',
    'container b: adds capabilities',
  ]);
});
