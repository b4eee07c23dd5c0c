// A real Consul agent for tests, on free ports of the loopback interface, written to by plain HTTP.
import { readFileSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { join } from 'node:path';
import { type Daemon, daemon, dataFolder } from './daemon.ts';
import { serverBinary } from './install.ts';
import { freePorts } from './ports.ts';

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
}

export interface ConsulServer extends Daemon {
  /** Of 127.0.0.1; speaks TLS when that was asked for. */
  readonly port: number;
  put(key: string, value: string | Buffer): Promise<void>;
  delete(key: string): Promise<void>;
  deleteTree(prefix: string): Promise<void>;
  /** Puts all of them in transactions of at most 64 keys. */
  putAll(values: Readonly<Record<string, string | Buffer>>): Promise<void>;
  /** A new token that may read keys below this prefix and nothing else. */
  readingToken(prefix: string): Promise<string>;
  /** Makes a token worthless. */
  revoke(token: string): Promise<void>;
  /** Stops it for good and removes its files. */
  end(): Promise<void>;
}

/** Starts `consul agent -dev`, whose data lives in memory: a restart loses everything. */
export async function startConsul(options: ConsulServerOptions = {}): Promise<ConsulServer> {
  const [port = 0, dns, serfLan, serfWan, server] = await freePorts(5);
  const { tls, rootToken } = options;
  const folder = dataFolder();
  const config = join(folder.path, 'agent.json');
  const ports = { dns, serf_lan: serfLan, serf_wan: serfWan, server, grpc: -1 };
  writeFileSync(config, JSON.stringify(agentConfig(options, { ...ports, ...webPorts(tls, port) })));
  const ask = asker(port, options);
  const agent = daemon({
    program: serverBinary('consul'),
    parameters: [
      'agent',
      '-dev',
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
  const accessors = new Map<string, string>();
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
    readingToken: async (prefix) => {
      const name = `reading-${accessors.size}`;
      const rules = { Name: name, Rules: `key_prefix "${prefix}" { policy = "read" }` };
      await ask('PUT', '/v1/acl/policy', JSON.stringify(rules));
      const made = JSON.parse(
        await ask('PUT', '/v1/acl/token', JSON.stringify({ Policies: [{ Name: name }] })),
      );
      accessors.set(made.SecretID, made.AccessorID);
      return made.SecretID;
    },
    revoke: async (token) => void (await ask('DELETE', `/v1/acl/token/${accessors.get(token)}`)),
    end: async () => {
      await agent.stop('SIGKILL');
      folder.wipe();
    },
  };
}

function webPorts(tls: ConsulServerOptions['tls'], port: number) {
  return tls === undefined ? { http: port, https: -1 } : { http: -1, https: port };
}

function agentConfig({ tls, rootToken }: ConsulServerOptions, ports: object): object {
  return {
    ports,
    ...(tls && {
      ca_file: tls.ca,
      cert_file: tls.cert,
      key_file: tls.key,
      verify_incoming_https: tls.clientCert !== undefined,
    }),
    ...(rootToken !== undefined && {
      acl: { enabled: true, default_policy: 'deny', tokens: { master: rootToken, agent: rootToken } },
    }),
  };
}

type Ask = (method: string, path: string, body?: string | Buffer) => Promise<string>;

function asker(port: number, { tls, rootToken }: ConsulServerOptions): Ask {
  const client = tls?.clientCert && {
    cert: readFileSync(tls.clientCert.cert),
    key: readFileSync(tls.clientCert.key),
  };
  const identity = tls && { ca: readFileSync(tls.ca), ...client };
  const headers = rootToken === undefined ? {} : { 'X-Consul-Token': rootToken };
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port, method, path, headers, timeout: 10_000, ...identity };
      const request = (tls ? https : http).request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${method} ${path} answered ${response.statusCode}: ${text}`));
        });
      });
      request.on('timeout', () => request.destroy(new Error(`${method} ${path} timed out`)));
      request.on('error', reject);
      request.end(body);
    });
}
