// Which API server is asked, and as whom: the service account of the pod, or a context of KUBECONFIG. Read again at each use.

import { InvalidValue } from '../../lib/invalid-value.ts';
import { readSmallText } from '../../lib/small-file.ts';
import type { ProviderOptions } from '../provider.ts';
import { KubernetesFailure } from './failure.ts';
import { bearer, type Cluster } from './identity.ts';

/** Where Kubernetes mounts the service account. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface ClusterOptions extends Pick<ProviderOptions, 'setting' | 'platformEnv'> {
  /** Default: where Kubernetes mounts it. */
  readonly serviceAccount?: string;
}

/**
 * Finds the server. With KUBECONFIG that counts, also in a pod.
 * @throws KubernetesFailure `source.no-cluster` when there is neither, `source.denied`, `source.tls`.
 */
export async function readCluster(options: ClusterOptions): Promise<Cluster> {
  const kubeconfig = options.setting('KUBECONFIG');
  if (kubeconfig === undefined) return readServiceAccount(options);
  const { readKubeconfig } = await import('./kubeconfig.ts');
  return await readKubeconfig(kubeconfig, options.setting('K8S_CONTEXT'));
}

function readServiceAccount({ platformEnv = {}, serviceAccount = SERVICE_ACCOUNT }: ClusterOptions): Cluster {
  const host = platformEnv['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = platformEnv['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === '') {
    throw new KubernetesFailure(
      'source.no-cluster',
      'neither KUBERNETES_SERVICE_HOST nor KUBECONFIG is set; run in a pod, or set KUBECONFIG',
    );
  }
  const read = (name: string): string => readSecret(`${serviceAccount}/${name}`).trim();
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: read('namespace'),
    headers: bearer(read('token')),
    tls: { ca: read('ca.crt') },
  };
}

const LARGEST_FILE = 1024 * 1024;

/** A file of the service account. */
function readSecret(path: string): string {
  try {
    return readSmallText(path, LARGEST_FILE, '1MiB');
  } catch (thrown) {
    if (!(thrown instanceof InvalidValue)) throw thrown;
    throw new KubernetesFailure(
      'source.no-cluster',
      `the service account of the pod cannot be used: "${path}": ${thrown.message}; set serviceAccountName, and do not set automountServiceAccountToken to false`,
    );
  }
}
