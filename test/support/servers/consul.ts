// A real Consul agent for tests, on free ports of the loopback interface, written to by plain HTTP.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, daemon, dataFolder } from './daemon.ts';
import { freePorts } from './ports.ts';
import { serverBinary } from './prerequisites.ts';

export interface ConsulServerOptions {
  /** Paths of PEM files. With `clientCert`, which is the writer's own, a client certificate of this CA is demanded. */
  readonly tls?: {
    readonly ca: string;
    readonly cert: string;
    readonly key: string;
    readonly clientCert?: { readonly cert: string; readonly key: string };
  };
  /** Turns access control on: nothing is allowed without a token, and this one may do everything. */
  readonly rootToken?: string;
  /** Keeps its data on disk over restarts, as a server that is used in earnest does; it takes longer to start. */
  readonly durable?: boolean;
}

/** One step of a transaction: the key gets this value; null deletes it. */
interface ConsulChange {
  readonly key: string;
  readonly value: string | Buffer | null;
}

/** A key as the store has it. */
export interface ConsulKey {
  readonly key: string;
  readonly value: Buffer;
  /** The store's index when the value became another. */
  readonly modifyIndex: number;
}

export interface ConsulServer extends Daemon {
  /** Of 127.0.0.1; speaks TLS when that was asked for. */
  readonly port: number;
  put(key: string, value: string | Buffer): Promise<void>;
  delete(key: string): Promise<void>;
  deleteTree(prefix: string): Promise<void>;
  /** Puts all of them in transactions of at most 64 keys. */
  putAll(values: Readonly<Record<string, string | Buffer>>): Promise<void>;
  /** Carries out all of them in one transaction of at most 64. */
  txn(changes: readonly ConsulChange[]): Promise<void>;
  /** Every key below the prefix, as the store itself says (a consistent read). */
  list(prefix: string): Promise<ConsulKey[]>;
  /** The whole store, for `restore`. */
  snapshot(): Promise<Buffer>;
  /** Puts the store back to a snapshot, under the running agent. */
  restore(snapshot: Buffer): Promise<void>;
  /** Kills it and removes its data; `start` begins a new store on the same ports. */
  wipe(): Promise<void>;
  /** A new token that may read keys below this prefix and nothing else. */
  readingToken(prefix: string): Promise<string>;
  /** Takes from a token what it may read, and waits until Consul answers that there is nothing. */
  forbid(token: string): Promise<void>;
  /** Gives it back. */
  allow(token: string): Promise<void>;
  /** Makes a token worthless. */
  revoke(token: string): Promise<void>;
  /** Stops it for good and removes its files. */
  end(): Promise<void>;
}

/** Starts a server: `consul agent -dev`, whose data lives in memory, so that a restart loses everything; or a durable one. */
export async function startConsul(options: ConsulServerOptions = {}): Promise<ConsulServer> {
  const [port = 0, dns, serfLan, serfWan, server] = await freePorts(5);
  const { tls, rootToken } = options;
  const folder = dataFolder();
  const config = join(folder.path, 'agent.json');
  const data = join(folder.path, 'data');
  const ports = { dns, serf_lan: serfLan, serf_wan: serfWan, server, grpc: -1 };
  writeFileSync(config, JSON.stringify(agentConfig(options, { ...ports, ...webPorts(tls, port) })));
  const ask = asker(port, options);
  const agent = daemon({
    program: serverBinary('consul'),
    parameters: [
      'agent',
      ...(options.durable === true ? ['-server', '-bootstrap-expect=1', `-data-dir=${data}`] : ['-dev']),
      '-node=test',
      '-bind=127.0.0.1',
      `-config-file=${config}`,
      '-log-level=warn',
    ],
    isUp: async () => {
      if ((await ask('GET', '/v1/status/leader')).length < 4) return false;
      if (rootToken !== undefined) await ask('GET', '/v1/acl/tokens');
      await ask('PUT', '/v1/kv/started', 'yes');
      return true;
    },
  });
  await agent.start();
  const askJson = async (method: string, path: string, body: object): Promise<Record<string, string>> =>
    JSON.parse((await ask(method, path, JSON.stringify(body))).toString());
  const tokens = new Map<string, Reading>();
  const setRules = async (token: string, rules: string): Promise<void> => {
    const { policy = '', name = '' } = tokens.get(token) ?? {};
    await askJson('PUT', `/v1/acl/policy/${policy}`, { Name: name, Rules: rules });
  };
  return {
    ...agent,
    port,
    put: async (key, value) => void (await ask('PUT', `/v1/kv/${key}`, value)),
    delete: async (key) => void (await ask('DELETE', `/v1/kv/${key}`)),
    deleteTree: async (prefix) => void (await ask('DELETE', `/v1/kv/${prefix}?recurse`)),
    putAll: async (values) => {
      const all = Object.entries(values).map(([Key, value]) => ({
        KV: { Verb: 'set', Key, Value: Buffer.from(value).toString('base64') },
      }));
      for (let from = 0; from < all.length; from += 64) {
        await ask('PUT', '/v1/txn', JSON.stringify(all.slice(from, from + 64)));
      }
    },
    txn: async (changes) => void (await ask('PUT', '/v1/txn', JSON.stringify(changes.map(operation)))),
    list: async (prefix) => {
      const text = await ask('GET', `/v1/kv/${prefix}?recurse&consistent`, undefined, [200, 404]);
      const items: readonly Listed[] = text.length === 0 ? [] : JSON.parse(text.toString());
      return items.map(({ Key, Value, ModifyIndex }) => ({
        key: Key,
        value: Buffer.from(Value ?? '', 'base64'),
        modifyIndex: ModifyIndex,
      }));
    },
    snapshot: () => ask('GET', '/v1/snapshot'),
    restore: async (snapshot) => void (await ask('PUT', '/v1/snapshot', snapshot)),
    wipe: async () => {
      await agent.stop('SIGKILL');
      rmSync(data, { recursive: true, force: true });
    },
    readingToken: async (prefix) => {
      const name = `reading-${tokens.size}`;
      const rules = `key_prefix "${prefix}" { policy = "read" }`;
      const policy = await askJson('PUT', '/v1/acl/policy', { Name: name, Rules: rules });
      const token = await askJson('PUT', '/v1/acl/token', { Policies: [{ Name: name }] });
      const reading = {
        accessor: token['AccessorID'] ?? '',
        policy: policy['ID'] ?? '',
        name,
        rules,
        prefix,
      };
      tokens.set(token['SecretID'] ?? '', reading);
      return token['SecretID'] ?? '';
    },
    forbid: async (token) => {
      await setRules(token, '');
      const asReader = asker(port, { ...options, rootToken: token });
      const path = `/v1/kv/${tokens.get(token)?.prefix}?recurse`;
      while ((await asReader('GET', path, undefined, [200, 404])).length > 0) await sleep(10);
    },
    allow: (token) => setRules(token, tokens.get(token)?.rules ?? ''),
    revoke: async (token) => void (await ask('DELETE', `/v1/acl/token/${tokens.get(token)?.accessor}`)),
    end: async () => {
      await agent.stop('SIGKILL');
      folder.wipe();
    },
  };
}

/** A token of `readingToken`, and the policy it has. */
interface Reading {
  readonly accessor: string;
  readonly policy: string;
  readonly name: string;
  readonly rules: string;
  readonly prefix: string;
}

/** A key as the agent writes it. */
interface Listed {
  readonly Key: string;
  readonly Value: string | null;
  readonly ModifyIndex: number;
}

function operation({ key, value }: ConsulChange): object {
  if (value === null) return { KV: { Verb: 'delete', Key: key } };
  return { KV: { Verb: 'set', Key: key, Value: Buffer.from(value).toString('base64') } };
}

function webPorts(tls: ConsulServerOptions['tls'], port: number) {
  return tls === undefined ? { http: port, https: -1 } : { http: -1, https: port };
}

function agentConfig({ tls, rootToken }: ConsulServerOptions, ports: object): object {
  return {
    ports,
    // The elections of a fast network; for -dev that is so anyway.
    performance: { raft_multiplier: 1 },
    ...(tls && {
      ca_file: tls.ca,
      cert_file: tls.cert,
      key_file: tls.key,
      verify_incoming_https: tls.clientCert !== undefined,
    }),
    ...(rootToken !== undefined && {
      acl: {
        enabled: true,
        default_policy: 'deny',
        tokens: { master: rootToken, agent: rootToken },
        ...{ policy_ttl: '10ms', token_ttl: '10ms', role_ttl: '10ms' },
      },
    }),
  };
}

type Ask = (
  method: string,
  path: string,
  body?: string | Buffer,
  statuses?: readonly number[],
) => Promise<Buffer>;

/** What an agent says that has lost its leadership, as after it was frozen, and has done nothing. */
const NOT_LEADING =
  /answered 500: .*(leadership has not been established|Not ready to serve|No cluster leader)/;
const LEADS_AGAIN_MS = 15_000;

function asker(port: number, options: ConsulServerOptions): Ask {
  const ask = singleAsker(port, options);
  return async (...words) => {
    const deadline = Date.now() + LEADS_AGAIN_MS;
    for (;;) {
      try {
        return await ask(...words);
      } catch (thrown) {
        if (Date.now() > deadline || !NOT_LEADING.test(String(thrown))) throw thrown;
        await sleep(50);
      }
    }
  };
}

function singleAsker(port: number, { tls, rootToken }: ConsulServerOptions): Ask {
  // Certificates may change between two starts.
  const identity = () =>
    tls && {
      ca: readFileSync(tls.ca),
      ...(tls.clientCert && {
        cert: readFileSync(tls.clientCert.cert),
        key: readFileSync(tls.clientCert.key),
      }),
    };
  const headers = rootToken === undefined ? {} : { 'X-Consul-Token': rootToken };
  return (method, path, body, statuses = [200]) =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, method, path, headers, timeout: 10_000, ...identity() };
      const request = (tls ? https : http).request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const answer = Buffer.concat(chunks);
          if (statuses.includes(response.statusCode ?? 0)) resolve(answer);
          else reject(new Error(`${method} ${path} answered ${response.statusCode}: ${answer}`));
        });
      });
      request.on('timeout', () => request.destroy(new Error(`${method} ${path} timed out`)));
      request.on('error', reject);
      request.end(body);
    });
}
