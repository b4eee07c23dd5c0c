// Writes to the Kubernetes API about the own pod: Events, and a condition.

import { SidecarError } from '../lib/errors.ts';
import { type HttpResponse, request } from '../lib/http/http.ts';
import type { ProxyEnv } from '../lib/http/proxy.ts';
import { isoTime } from '../lib/iso-time.ts';
import { type ClusterOptions, readCluster } from '../source/kubernetes/cluster.ts';
import type { PodCondition, PodEvent } from './pod-story.ts';

export interface PodClientOptions extends ClusterOptions {
  /** Name of the own pod. */
  readonly pod: string;
  readonly proxyEnv: ProxyEnv;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What the API server knows of the pod. */
export interface Pod {
  readonly uid: string;
  /** The status of its condition `ConfigConfirmed`; null without one. */
  readonly confirmed: string | null;
}

const CONDITION = 'ConfigConfirmed';
const LARGEST_ANSWER = 4 * 1024 * 1024;

/**
 * Every function throws a SidecarError: `events.denied` (a right is missing, with the right in the message), `events.not-found` (no
 * such pod), `events.failed`, or an error of the HTTP client or of the cluster.
 */
export class PodClient {
  readonly #options: PodClientOptions;

  constructor(options: PodClientOptions) {
    this.#options = options;
  }

  async read(): Promise<Pod> {
    const { body } = await this.#ask('GET', this.#podPath(), 'get pods');
    const pod = JSON.parse(body.toString()) as {
      readonly metadata?: { readonly uid?: string };
      readonly status?: {
        readonly conditions?: readonly { readonly type: string; readonly status: string }[];
      };
    };
    const condition = pod.status?.conditions?.find(({ type }) => type === CONDITION);
    return { uid: pod.metadata?.uid ?? '', confirmed: condition?.status ?? null };
  }

  /** One that is there already is left as it is. */
  async say(pod: Pod, { key, type, reason, message }: PodEvent): Promise<void> {
    const { namespace } = await readCluster(this.#options);
    const at = isoTime(Date.now()).replace(/\.\d+Z$/, 'Z');
    const { pod: name } = this.#options;
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      // A pod of a StatefulSet has the name of the one before.
      metadata: {
        name: `${name.slice(0, 200).replace(/[-.]+$/, '')}.${pod.uid.slice(0, 8)}${key}`,
        namespace,
      },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', name, namespace, uid: pod.uid },
      ...{ type, reason, message, count: 1, firstTimestamp: at, lastTimestamp: at },
      source: { component: 'config-sidecar' },
      reportingComponent: 'config-sidecar',
      reportingInstance: name,
    };
    await this.#ask('POST', '/events', 'create events', { body: event, accepts: 409 });
  }

  async setCondition({ status, reason, message }: PodCondition): Promise<void> {
    const lastTransitionTime = isoTime(Date.now()).replace(/\.\d+Z$/, 'Z');
    const condition = { type: CONDITION, status, reason, message, lastTransitionTime };
    const body = { status: { conditions: [condition] } };
    await this.#ask('PATCH', `${this.#podPath()}/status`, 'patch pods/status', { body });
  }

  #podPath(): string {
    return `/pods/${encodeURIComponent(this.#options.pod)}`;
  }

  /** @param right what a Role must allow for it. */
  async #ask(
    method: string,
    path: string,
    right: string,
    { body, accepts = 0 }: { readonly body?: object; readonly accepts?: number } = {},
  ): Promise<HttpResponse> {
    const { server, namespace, headers, tls } = await readCluster(this.#options);
    const { timeoutMs, signal, proxyEnv, pod } = this.#options;
    const type = method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json';
    const answer = await request({
      ...{ method, timeoutMs, signal, tls, proxyEnv, maxBytes: LARGEST_ANSWER },
      url: `${server}/api/v1/namespaces/${encodeURIComponent(namespace)}${path}`,
      headers: [...headers, ['Content-Type', type], ['Accept', 'application/json']],
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const { status } = answer;
    if ((status >= 200 && status < 300) || status === accepts) return answer;
    const cannot = `Cannot report to the pod "${pod}" in namespace "${namespace}"`;
    if (status === 401 || status === 403) {
      throw failure(
        'events.denied',
        `${cannot}: the service account may not ${right} (${status}). Give it a Role with that right.`,
      );
    }
    if (status === 404) {
      throw failure(
        'events.not-found',
        `${cannot}: there is no such pod. Set POD_NAME from the field metadata.name.`,
      );
    }
    throw failure(
      'events.failed',
      `${cannot}: the API server answered ${status} when it was asked to ${right}.`,
    );
  }
}

function failure(code: string, message: string): SidecarError {
  return new SidecarError(message, { code, stage: 'control' });
}
