// Which server KUBECONFIG names, as whom, and every reason why one cannot be used.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCluster } from '../../../../src/source/kubernetes/cluster.ts';
import { KubernetesFailure } from '../../../../src/source/kubernetes/failure.ts';
import { readKubeconfig } from '../../../../src/source/kubernetes/kubeconfig.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function write(text: string, name = `file-${files++}`): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

interface Parts {
  readonly user?: object;
  readonly cluster?: object;
  readonly context?: object;
  readonly current?: string;
}

function config({ user = { token: 'tok-3f' }, cluster = {}, context = {}, current = 'prod' }: Parts): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': current,
    contexts: [
      { name: 'prod', context: { cluster: 'c', user: 'u', ...context } },
      { name: 'other', context: { cluster: 'c', user: 'u', namespace: 'elsewhere' } },
    ],
    clusters: [{ name: 'c', cluster: { server: 'https://api.example:6443/', ...cluster } }],
    users: [{ name: 'u', user }],
  });
}

async function refusal(path: string, context?: string): Promise<{ code: string; reason: string }> {
  const thrown: unknown = await readKubeconfig(path, context).catch((error: unknown) => error);
  if (!(thrown instanceof KubernetesFailure)) throw new Error('It was accepted');
  return { code: thrown.code, reason: thrown.message.replaceAll(folder, '…') };
}

describe('a context', () => {
  it('is the current one, with a token', async () => {
    expect(await readKubeconfig(write(config({})), undefined)).toEqual({
      server: 'https://api.example:6443',
      namespace: 'default',
      headers: [['Authorization', 'Bearer tok-3f']],
      tls: {},
    });
  });

  it('is the one of K8S_CONTEXT, with its namespace', async () => {
    expect((await readKubeconfig(write(config({})), 'other')).namespace).toBe('elsewhere');
  });

  it('has a client certificate and an authority, in the file or beside it', async () => {
    write('CA', 'ca.crt');
    const user = { 'client-certificate-data': 'Q0VSVA==', 'client-key': 'client.key' };
    write('KEY', 'client.key');
    const path = write(config({ user, cluster: { 'certificate-authority': 'ca.crt' } }));
    expect(await readKubeconfig(path, undefined)).toMatchObject({
      headers: [],
      tls: { ca: 'CA', cert: 'CERT', key: 'KEY' },
    });
  });

  it('has a token in a file, which goes before one in the text', async () => {
    write('tok-file\n', 'token');
    const path = write(config({ user: { tokenFile: 'token', token: 'old' } }));
    expect((await readKubeconfig(path, undefined)).headers).toEqual([['Authorization', 'Bearer tok-file']]);
  });

  it('sends nothing to a server without TLS, and needs no user for it', async () => {
    const cluster = { server: 'http://127.0.0.1:8001' };
    for (const context of [{}, { user: undefined }]) {
      expect(await readKubeconfig(write(config({ cluster, context })), undefined)).toEqual({
        server: 'http://127.0.0.1:8001',
        namespace: 'default',
        headers: [],
        tls: {},
      });
    }
  });
});

describe('one that cannot be used is refused', () => {
  const user = 'user "u" of KUBECONFIG "…/it" cannot be used: ';
  const cluster = 'cluster "c" of KUBECONFIG "…/it" cannot be used: ';
  const file = 'KUBECONFIG "…/it" cannot be used: ';
  it.each<[string, string, string]>([
    [
      'exec',
      config({ user: { exec: { command: 'aws' } } }),
      `${user}it runs a program for its credentials (exec), which is not done here; use a token, a client certificate, or a service account`,
    ],
    [
      'auth-provider',
      config({ user: { 'auth-provider': { name: 'gcp' } } }),
      `${user}it uses auth-provider, which is not supported; use a token, a client certificate, or a service account`,
    ],
    [
      'a password',
      config({ user: { username: 'a', password: 'hunter2' } }),
      `${user}it uses a password, which Kubernetes no longer accepts; use a token`,
    ],
    [
      'another user',
      config({ user: { token: 't', as: 'root' } }),
      `${user}it acts as another user (as), which is not supported; use the credentials of that user`,
    ],
    [
      'no credentials',
      config({ user: {} }),
      `${user}it has neither token, nor tokenFile, nor a client certificate`,
    ],
    [
      'half of a pair',
      config({ user: { 'client-certificate-data': 'QQ==' } }),
      `${user}client-certificate and client-key go together`,
    ],
    [
      'a file that is not there',
      config({ user: { tokenFile: 'none' } }),
      `${user}"none": the file does not exist`,
    ],
    [
      'a strange token',
      config({ user: { token: 'a b' } }),
      'the token is empty, or holds characters that no token has',
    ],
    [
      'no verification',
      config({ cluster: { 'insecure-skip-tls-verify': true } }),
      `${cluster}the server is always verified; remove insecure-skip-tls-verify and give certificate-authority`,
    ],
    [
      'a proxy',
      config({ cluster: { 'proxy-url': 'http://p' } }),
      `${cluster}proxy-url is not supported; set HTTPS_PROXY`,
    ],
    [
      'a server name',
      config({ cluster: { 'tls-server-name': 'x' } }),
      `${cluster}tls-server-name is not supported; name the host as its certificate does`,
    ],
    [
      'no server',
      config({ cluster: { server: '' } }),
      `${cluster}server must be a URL such as https://host:6443`,
    ],
    ['no context', config({ current: '' }), `${file}it has no current-context; set K8S_CONTEXT`],
    ['an unknown context', config({ current: 'x' }), `${file}it has no context "x"`],
    ['an unknown cluster', config({ context: { cluster: 'x' } }), `${file}it has no cluster "x"`],
    ['an unknown user', config({ context: { user: 'x' } }), `${file}it has no user "x"`],
    ['a list', '[]', `${file}it is not a map with clusters, users and contexts`],
    ['no YAML', 'a: [tok-3f', `${file}it is not valid YAML or JSON in line 1`],
    ['a huge file', ' '.repeat(1024 * 1024 + 1), `${file}it is larger than 1MiB`],
  ])('%s', async (_what, text, reason) => {
    expect((await refusal(write(text, 'it'))).reason).toBe(reason);
  });

  it('a path with nothing', async () => {
    expect(await refusal(join(folder, 'none'))).toEqual({
      code: 'source.kubeconfig',
      reason: 'KUBECONFIG "…/none" cannot be used: the file does not exist',
    });
  });
});

describe('without KUBECONFIG', () => {
  const options = { setting: () => undefined };
  it('outside of a pod the error says both ways', async () => {
    await expect(readCluster(options)).rejects.toMatchObject({
      code: 'source.no-cluster',
      message: 'neither KUBERNETES_SERVICE_HOST nor KUBECONFIG is set; run in a pod, or set KUBECONFIG',
    });
  });

  it('a pod without a service account says what to set', async () => {
    const serviceAccount = join(folder, 'none');
    const platformEnv = { KUBERNETES_SERVICE_HOST: '10.96.0.1' };
    await expect(readCluster({ ...options, platformEnv, serviceAccount })).rejects.toMatchObject({
      code: 'source.no-cluster',
      message: `the service account of the pod cannot be used: "${serviceAccount}/namespace": the file does not exist; set serviceAccountName, and do not set automountServiceAccountToken to false`,
    });
  });

  it('an IPv6 address of the server gets its brackets', async () => {
    for (const [name, text] of [
      ['namespace', 'ns'],
      ['token', 'tok'],
      ['ca.crt', 'CA'],
    ])
      write(text ?? '', name);
    const platformEnv = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
    expect(await readCluster({ ...options, platformEnv, serviceAccount: folder })).toEqual({
      server: 'https://[fd00::1]:6443',
      namespace: 'ns',
      headers: [['Authorization', 'Bearer tok']],
      tls: { ca: 'CA' },
    });
  });
});
