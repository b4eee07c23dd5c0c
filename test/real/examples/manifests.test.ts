// Every Kubernetes manifest of every example is valid by the API's own description: the types that kubernetes-types makes
// of the OpenAPI document of Kubernetes 1.30. The compiler takes each manifest as a literal, so that a field that does not
// exist, a wrong type and a missing field are errors.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { EXAMPLES, type Pod, readManifests } from '../../support/examples/manifest.ts';

const require = createRequire(import.meta.url);
const TYPES = dirname(require.resolve('kubernetes-types/package.json'));
const TSC = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
const VERSION = '1.30.0';

/** Where the types of an API group's version are, by `apiVersion`. */
const MODULES: Readonly<Record<string, string>> = {
  v1: 'core/v1',
  'apps/v1': 'apps/v1',
  'batch/v1': 'batch/v1',
};

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
}

/** The manifests by their files, relative to `examples/`: YAML files that say of what kind they are. */
function findManifests(): readonly (readonly [string, readonly unknown[]])[] {
  const folders = readdirSync(EXAMPLES, { withFileTypes: true }).filter((one) => one.isDirectory());
  const files = folders.flatMap(({ name }) =>
    readdirSync(join(EXAMPLES, name))
      .filter((file) => /\.ya?ml$/.test(file))
      .map((file) => join(name, file)),
  );
  return files
    .map((file) => [file, readManifests(file)] as const)
    .filter(([, documents]) => documents.some(isManifest));
}

function isManifest(document: unknown): document is Manifest {
  return typeof document === 'object' && document !== null && 'apiVersion' in document && 'kind' in document;
}

const manifests = findManifests();
const folder = mkdtempSync(join(tmpdir(), 'manifests-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the compiler says of these documents, each by its name. */
function faultsOf(documents: Readonly<Record<string, unknown>>): string {
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  if (!existsSync(join(folder, 'node_modules/kubernetes-types'))) {
    symlinkSync(TYPES, join(folder, 'node_modules/kubernetes-types'));
  }
  const names = Object.entries(documents).map(([name, document]) => {
    const { apiVersion, kind } = document as Manifest;
    const module = MODULES[apiVersion];
    if (module === undefined) throw new Error(`${name}: nobody told this test where ${apiVersion} is`);
    const file = join(folder, `${name.replaceAll(/\W/g, '-')}.ts`);
    const text = JSON.stringify(document, null, 1);
    writeFileSync(
      file,
      `import type { ${kind} } from 'kubernetes-types/${module}.d.ts';\nexport const manifest: ${kind} = ${text};\n`,
    );
    return file;
  });
  const flags = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2022', '--module', 'nodenext'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [TSC, ...flags, ...names], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return status === 0 ? '' : `${stdout}${stderr}` || `tsc ended with ${status}`;
}

describe(`by the API of Kubernetes ${VERSION}`, () => {
  test('the types are those of that version', () => {
    expect(require('kubernetes-types/package.json')).toMatchObject({ version: VERSION });
  });

  test('every manifest of the examples is valid', () => {
    const all = manifests.flatMap(([file, documents]) =>
      documents.map((document, index) => [`${file}-${index}`, document] as const),
    );
    expect(manifests.length).toBeGreaterThanOrEqual(3);
    expect(faultsOf(Object.fromEntries(all))).toBe('');
  });

  const container = { name: 'one', image: 'one' };
  const pod = (spec: object): object => ({ apiVersion: 'v1', kind: 'Pod', spec });

  test('a native sidecar is known, and faults of every kind are found', () => {
    const good = pod({
      containers: [container],
      initContainers: [{ ...container, restartPolicy: 'Always' }],
    });
    expect(faultsOf({ good })).toBe('');
    const faults = faultsOf({
      misspelt: pod({ containers: [container], shareProcessNamespaces: true }),
      deep: pod({ containers: [{ ...container, volumeMounts: [{ name: 'a', mountpath: '/a' }] }] }),
      type: pod({ containers: [{ ...container, ports: [{ containerPort: '8080' }] }] }),
      missing: pod({ initContainers: [container] }),
      empty: pod({ containers: [container], securityContext: null }),
    });
    expect(faults).toMatch(/^misspelt\.ts.*'"shareProcessNamespaces"' does not exist/m);
    expect(faults).toMatch(/^deep\.ts.*'"mountpath"' does not exist/m);
    expect(faults).toMatch(/^type\.ts.*'string' is not assignable to type 'number'/m);
    expect(faults).toMatch(/^missing\.ts.*'containers' is missing/m);
    expect(faults).toMatch(/^empty\.ts.*'null' is not assignable/m);
  });
});

test('what the schema leaves open, as it lists no values there: only init containers restart, and always', () => {
  for (const [file, documents] of manifests) {
    for (const pod of documents.filter((one): one is Pod => isManifest(one) && one.kind === 'Pod')) {
      const { initContainers = [], containers } = pod.spec;
      const policies = initContainers.map(({ restartPolicy }) => restartPolicy);
      expect(
        policies.filter((policy) => policy !== undefined && policy !== 'Always'),
        file,
      ).toEqual([]);
      expect(
        containers.filter(({ restartPolicy }) => restartPolicy !== undefined),
        file,
      ).toEqual([]);
    }
  }
});
