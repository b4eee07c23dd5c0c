// The compiler as judge of manifests: each is a literal of the type that kubernetes-types makes of the OpenAPI document of
// Kubernetes, so that a field that does not exist, a wrong type and a missing field are errors.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';

const require = createRequire(import.meta.url);
const TYPES = dirname(require.resolve('kubernetes-types/package.json'));
const TSC = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');

/** Where the types of an API group's version are, by `apiVersion`. */
const MODULES: Readonly<Record<string, string>> = {
  v1: 'core/v1',
  'apps/v1': 'apps/v1',
  'batch/v1': 'batch/v1',
  'rbac.authorization.k8s.io/v1': 'rbac/v1',
};

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
}

const folder = mkdtempSync(join(tmpdir(), 'manifests-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the compiler says of these documents, each by its name. */
export function faultsOf(documents: Readonly<Record<string, unknown>>): string {
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  if (!existsSync(join(folder, 'node_modules/kubernetes-types'))) {
    symlinkSync(TYPES, join(folder, 'node_modules/kubernetes-types'));
  }
  const names = Object.entries(documents).map(([name, document]) => {
    const { apiVersion, kind } = document as Manifest;
    const module = MODULES[apiVersion];
    if (module === undefined)
      throw new Error(`${name}: this test does not know where the types of ${apiVersion} are`);
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
