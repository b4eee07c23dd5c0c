// What the built program loads for each kind of source: its own code, and no library that only another kind needs.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { DIST } from '../../support/e2e/sidecar.ts';
import { kubeconfig } from '../../support/servers/kubeconfig.ts';

const place = mkdtempSync(join(tmpdir(), 'loaded-'));
afterAll(() => rmSync(place, { recursive: true }));

const LOG = join(place, 'loaded');
/** Notes each module that is loaded, in any thread. */
const NOTE = `import { appendFileSync } from 'node:fs';
export const load = (url, context, next) => {
  appendFileSync(${JSON.stringify(LOG)}, url + '\\n');
  return next(url, context);
};`;
const REGISTER = `import { register } from 'node:module'; register(${JSON.stringify(dataUrl(NOTE))});`;

function dataUrl(program: string): string {
  return `data:text/javascript,${encodeURIComponent(program)}`;
}

/** Words that stand in one part of the program, and in no other. */
const MARKS = {
  git: 'ls-remote',
  Kubernetes: 'allowWatchBookmarks',
  Consul: 'X-Consul-Index',
  etcd: 'etcdserverpb',
  axios: 'AxiosError',
  YAML: 'tag:yaml.org,2002:',
} as const;

/** The parts that `once` with this source has loaded when it has ended, whatever came of it. */
function loadedFor(source: string): readonly string[] {
  writeFileSync(LOG, '');
  spawnSync(process.execPath, ['--import', dataUrl(REGISTER), join(DIST, 'main.js'), 'once'], {
    cwd: place,
    env: {
      PATH: process.env['PATH'],
      LISTEN: 'off',
      ONCE_TIMEOUT: '1s',
      KUBECONFIG: join(place, 'kubeconfig'),
      SOURCE: source,
      OUTPUT: join(place, 'out.json'),
    },
  });
  const urls = readFileSync(LOG, 'utf8').split('\n');
  const ours = new Set(urls.filter((url) => url.startsWith('file:') && url.includes('/dist/')));
  const texts = [...ours].map((url) => readFileSync(fileURLToPath(url), 'utf8').toLowerCase());
  // The file of the bin and what it begins with, at least.
  expect(texts.length).toBeGreaterThan(2);
  return Object.entries(MARKS).flatMap(([part, mark]) =>
    texts.some((text) => text.includes(mark.toLowerCase())) ? [part] : [],
  );
}

describe('the built program loads', () => {
  writeFileSync(join(place, 'in.json'), '{"a":1}');
  // Port 1: nothing answers there.
  writeFileSync(join(place, 'kubeconfig'), kubeconfig({ port: 1, ca: 'none', user: { token: 'x' } }));

  it.each([
    ['no client for a file', 'in.json', []],
    ['one part and no library for git', 'git+file:///none.git?path=in.json', ['git']],
    ['the HTTP client for HTTP', 'http://127.0.0.1:1/in.json', ['axios']],
    // KUBECONFIG is YAML; in a pod there is none.
    ['the HTTP client for Kubernetes', 'k8s://configmap/web', ['Kubernetes', 'axios', 'YAML']],
  ])('%s', (_what, source, parts) => {
    expect(new Set(loadedFor(source))).toEqual(new Set(parts));
  });
});
