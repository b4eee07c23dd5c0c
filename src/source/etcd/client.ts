// The plain gRPC client of one etcd member, taken from the etcd3 library without its retries and its resuming.
import { Etcd3, type IRangeResponse, type IWatchResponse } from 'etcd3';
import type { TlsFiles } from '../tls-files.ts';

export interface EtcdClientOptions {
  /** `host:port`, brackets around IPv6. */
  readonly endpoint: string;
  /** null for a connection without TLS. */
  readonly tls: TlsFiles | null;
  /** Bound of the values in one message. */
  readonly maxBytes: number;
  /** Ends every call at once. */
  readonly signal: AbortSignal;
}

interface Metadata {
  set(name: string, value: string): void;
}

/** A stream of one watch; both directions. */
export interface WatchStream {
  on(event: 'data', listener: (answer: IWatchResponse) => void): WatchStream;
  on(event: 'error', listener: (error: Error) => void): WatchStream;
  on(event: 'end', listener: () => void): WatchStream;
  removeAllListeners(): WatchStream;
  write(request: unknown): void;
  cancel(): void;
}

type UnaryMethod = (
  request: object,
  metadata: Metadata,
  options: { readonly deadline: number },
  settle: (error: unknown, answer: unknown) => void,
) => { cancel(): void };

interface Stub {
  range: UnaryMethod;
  authenticate: UnaryMethod;
  watch(metadata: Metadata, options: object): WatchStream;
  getChannel(): Channel;
  close(): void;
}

/** What the library below etcd3 does not publish: the connections that a channel shares with others. */
interface Channel {
  readonly internalChannel: {
    readonly subchannelPool: { readonly pool: Readonly<Record<string, readonly Pooled[]>> };
  };
}

interface Pooled {
  readonly subchannel: {
    readonly options: Readonly<Record<string, unknown>>;
    readonly backoffTimeout: { stop(): void };
    continueConnecting: boolean;
  };
}

type ServiceName = 'KV' | 'Watch' | 'Auth';

/** Keeps every value in one message below MAX_SIZE, and leaves room for names and framing. */
const MESSAGE_SLACK_BYTES = 4 * 1024 * 1024;
/**
 * etcd forbids pings closer than 5 s; exactly 5 s would be too close whenever the network delays one ping more than
 * the next. A dead connection is noticed within the sum.
 */
const KEEPALIVE = { 'grpc.keepalive_time_ms': 6_000, 'grpc.keepalive_timeout_ms': 3_000 };

const USER_AGENT = 'grpc.primary_user_agent';
let clients = 0;

/** Prepares a client; nothing is sent before the first call. */
export function openEtcdClient(options: EtcdClientOptions): EtcdClient {
  clients += 1;
  const name = `config-sidecar/${clients}`;
  return new EtcdClient(new Etcd3(libraryOptions(options, name)), { name, signal: options.signal });
}

type LibraryOptions = NonNullable<ConstructorParameters<typeof Etcd3>[0]>;

function libraryOptions({ endpoint, tls, maxBytes }: EtcdClientOptions, name: string): LibraryOptions {
  const grpcOptions = {
    ...KEEPALIVE,
    // etcd counts a ping while no call is open as one too many, and closes the connection at the third.
    'grpc.keepalive_permit_without_calls': 0,
    'grpc.max_receive_message_length': maxBytes + MESSAGE_SLACK_BYTES,
    'grpc.enable_retries': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    // Connections are shared between clients with equal options: this keeps each watch on its own.
    [USER_AGENT]: name,
  };
  if (tls === null) return { hosts: `http://${endpoint}`, grpcOptions };
  const { ca, cert, key } = tls;
  // The type wants a root certificate, the library does without: then the system's own count.
  const credentials = { rootCertificate: ca, privateKey: key, certChain: cert };
  return { hosts: `https://${endpoint}`, grpcOptions, credentials } as LibraryOptions;
}

/** The calls of one connection, and what has to be given back at its end. */
export class EtcdClient {
  readonly #library: Etcd3;
  readonly #name: string;
  readonly #signal: AbortSignal;
  readonly #stubs = new Set<Stub>();
  readonly #running = new Set<() => void>();

  constructor(library: Etcd3, { name, signal }: { readonly name: string; readonly signal: AbortSignal }) {
    this.#library = library;
    this.#name = name;
    this.#signal = signal;
  }

  /** One page of a listing. `deadline` is in Unix milliseconds, here and below. */
  range(request: object, token: string | null, deadline: number): Promise<IRangeResponse> {
    return this.#call('KV', 'range', request, { token, deadline });
  }

  /** A token for this user. */
  async authenticate(name: string, password: string, deadline: number): Promise<string> {
    const request = { name, password };
    const answer = await this.#call<{ token: string }>('Auth', 'authenticate', request, {
      token: null,
      deadline,
    });
    return answer.token;
  }

  /** A stream that has not been asked for anything yet. */
  async watch(token: string | null): Promise<WatchStream> {
    const { stub, metadata } = await this.#service('Watch', token);
    return stub.watch(metadata, {});
  }

  /** Ends the calls under way and gives the socket back. Cancel streams before. */
  async close(): Promise<void> {
    // Closing alone would leave what is under way, and its socket, until the deadline; and a socket is given up
    // only by a close that finds no call on it.
    for (const cancel of this.#running) cancel();
    await new Promise((resolve) => setImmediate(resolve));
    for (const stub of this.#stubs) {
      stopReconnecting(stub, this.#name);
      stub.close();
    }
  }

  async #service(name: ServiceName, token: string | null) {
    const found: unknown = await this.#library['pool'].withConnection(name, (given) => given);
    const { client: stub, metadata } = found as { readonly client: Stub; readonly metadata: Metadata };
    this.#stubs.add(stub);
    // Asked this way, a member that lost its leader says so: a watch would stay silent, a listing wait for seconds.
    metadata.set('hasleader', 'true');
    if (token !== null) metadata.set('token', token);
    return { stub, metadata };
  }

  async #call<T>(
    name: ServiceName,
    method: 'range' | 'authenticate',
    request: object,
    { token, deadline }: { readonly token: string | null; readonly deadline: number },
  ): Promise<T> {
    const { stub, metadata } = await this.#service(name, token);
    this.#signal.throwIfAborted();
    return new Promise<T>((resolve, reject) => {
      const settle = (error: unknown, answer: unknown): void => {
        this.#signal.removeEventListener('abort', cancel);
        this.#running.delete(cancel);
        if (error === null || error === undefined) resolve(answer as T);
        else reject(error);
      };
      const started = stub[method](request, metadata, { deadline }, settle);
      const cancel = (): void => started.cancel();
      this.#signal.addEventListener('abort', cancel);
      this.#running.add(cancel);
    });
  }
}

/** A connection that failed is made again after a pause, even when its client was closed meanwhile. */
function stopReconnecting(stub: Stub, name: string): void {
  const { pool } = stub.getChannel().internalChannel.subchannelPool;
  for (const { subchannel } of Object.values(pool).flat()) {
    if (subchannel.options[USER_AGENT] !== name) continue;
    subchannel.continueConnecting = false;
    subchannel.backoffTimeout.stop();
  }
}
