// The Kubernetes source against a real API server.
import { startKubernetes } from '../support/servers/kubernetes.ts';
import { describeKubernetes, kubernetesHarness } from '../support/source/kubernetes-cases.ts';
import { describeProviderLaw } from '../support/source/provider-contract.ts';

describeProviderLaw('Kubernetes', () => kubernetesHarness(startKubernetes));
describeKubernetes('Kubernetes', startKubernetes);
