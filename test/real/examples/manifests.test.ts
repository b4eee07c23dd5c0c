// Every Kubernetes manifest of every example is valid by the API's own description: the types that kubernetes-types makes
// of the OpenAPI document of Kubernetes 1.30. The compiler takes each manifest as a literal, so that a field that does not
// exist, a wrong type and a missing field are errors.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { faultsOf } from '../../support/examples/kubernetes-types.ts';
import { EXAMPLES, type Pod, readManifests } from '../../support/examples/manifest.ts';

const require = createRequire(import.meta.url);
const VERSION = '1.30.0';

/** Kinds that are no part of Kubernetes itself. */
const FOREIGN = new Set(['monitoring.coreos.com/v1']);

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
    .filter(([, documents]) => documents.some((one) => isManifest(one) && !FOREIGN.has(one.apiVersion)));
}

function isManifest(document: unknown): document is Manifest {
  return typeof document === 'object' && document !== null && 'apiVersion' in document && 'kind' in document;
}

const manifests = findManifests();
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
