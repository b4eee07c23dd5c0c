// Kubernetes: a ConfigMap, a Secret, or all that a label selector finds, listed and then watched.
import { parseKubernetesUrl } from '../src/source/kubernetes/url.ts';
import type { SourceKind, SourceUrl } from '../src/source/provider.ts';

export const kubernetes = {
  name: 'Kubernetes',
  schemes: ['k8s'],
  form: '`k8s://configmap/NAME`, `k8s://secret/NAME`, `k8s://configmaps?selector=app%3Dweb`',
  settings: {
    KUBECONFIG: {
      kind: 'path',
      meaning: 'access to Kubernetes in a file of kubectl; without it the service account of the pod',
    },
    K8S_CONTEXT: { kind: 'text', meaning: 'context of `KUBECONFIG`; without it its `current-context`' },
  },
  unread: {},
  platform: ['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT'],
  advice: {
    'source.denied':
      'Bind the service account to a Role with the verbs get, list and watch on these objects (resourceNames may name them).',
    'source.no-cluster':
      'In a pod give it a service account with automountServiceAccountToken: true; elsewhere set KUBECONFIG.',
    'source.kubeconfig': 'Correct KUBECONFIG or K8S_CONTEXT: "kubectl config view" shows what they hold.',
    'source.not-found': 'Check the namespace in SOURCE, and that the server is a Kubernetes API server.',
    'source.tls':
      'Check the authority and the client certificate in KUBECONFIG, or ca.crt of the service account.',
  },
  whenEmpty: 'check kind, name, namespace, selector and key in the URL',
  parseUrl: (text): SourceUrl => {
    const place = parseKubernetesUrl(text);
    return {
      kind: kubernetes,
      text,
      path: null,
      settingsMistakes: ({ has }) =>
        has('K8S_CONTEXT') && !has('KUBECONFIG')
          ? ['Cannot use K8S_CONTEXT without KUBECONFIG: it names a context of that file']
          : [],
      load: async () => {
        const { openKubernetes } = await import('../src/source/kubernetes/open.ts');
        return (options) => openKubernetes(text, place, options);
      },
    };
  },
} as const satisfies SourceKind;
