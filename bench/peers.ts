// The same work done by consul-template, which is written in Go: key of Consul, file, SIGHUP. Interleaved with the sidecar and the floor.
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import {
  type Application,
  measureChange,
  memoryOf,
  NOW,
  processorMsOf,
  quantile,
  row,
  type Store,
  sleep,
  start,
  startApplication,
  startFloor,
  startSidecar,
  until,
} from './stage.ts';

const VERSION = 'v0.39.1';
const CHANGES = 100;
const WARM_UP = 15;
const APART_MS = 120;
const BURST = 50;

/** Built once, where Go is installed; `CONSUL_TEMPLATE` names another one. */
function findConsulTemplate(): string {
  const named = process.env['CONSUL_TEMPLATE'];
  if (named !== undefined) return named;
  const folder = join(process.cwd(), '.cache/peers');
  const program = join(folder, 'consul-template');
  if (!fs.existsSync(program)) {
    const env = { ...process.env, GOBIN: folder };
    execFileSync('go', ['install', `github.com/hashicorp/consul-template@${VERSION}`], {
      env,
      stdio: 'inherit',
    });
  }
  return program;
}

interface Peer {
  readonly name: string;
  readonly key: string;
  readonly app: Application;
  readonly pid: number;
}

type Begin = (key: string, app: Application) => { readonly pid?: number | undefined };

/** Prints a table for one store of Consul. */
export async function benchPeers(store: Store): Promise<void> {
  const program = findConsulTemplate();
  const template: Begin = (key, app) => {
    const source = `${app.file}.ctmpl`;
    fs.writeFileSync(source, `{{ key "${key}" }}\n`);
    const words = [`-consul-addr=${store.address}`, '-log-level=err'];
    return start([program, ...words, '-template', `${source}:${app.file}:kill -HUP ${app.pid}`]);
  };
  const sidecar =
    (settings: Readonly<Record<string, string>>): Begin =>
    (key, app) =>
      startSidecar({
        SOURCE: store.source(key),
        OUTPUT: app.file,
        APP_PROCESS: `/${app.title}/`,
        ...settings,
      });
  const begin = async (name: string, how: Begin): Promise<Peer> => {
    const app = await startApplication();
    const key = `bench/peer-${app.pid}`;
    await store.put(key, 'start');
    const { pid = 0 } = how(key, app);
    return { name, key, app, pid };
  };
  const peers = [
    await begin('sidecar', sidecar(NOW)),
    await begin('consul-template', template),
    await begin('floor', (key, app) => startFloor(store, key, app)),
  ];
  await until('the first reloads', () => peers.slice(0, 2).every(({ app }) => app.seen.length > 0));
  await sleep(5_000);
  row(`consul`, 'p50 ms', 'p95 ms', 'p99 ms', 'CPU ms', 'RSS MiB', 'anonymous');
  const times = new Map(peers.map(({ name }) => [name, [] as number[]]));
  let before = peers.map(({ pid }) => processorMsOf(pid));
  for (let i = 0; i < WARM_UP + CHANGES; i += 1) {
    if (i === WARM_UP) before = peers.map(({ pid }) => processorMsOf(pid));
    for (const { name, key, app } of peers) {
      await sleep(APART_MS);
      const ms = await measureChange(store, key, { app, value: `v${i}` });
      if (i >= WARM_UP) times.get(name)?.push(ms);
    }
  }
  for (const [at, { name, pid }] of peers.entries()) {
    const own = times.get(name) ?? [];
    const cpuMs = (processorMsOf(pid) - (before[at] ?? 0)) / CHANGES;
    const { rss, anonymous } = memoryOf(pid);
    row(name, ...[0.5, 0.95, 0.99].map((share) => quantile(own, share)), cpuMs, rss, anonymous);
  }
  console.log('');
  row('', `reloads of ${BURST}`);
  for (const one of [await begin('sidecar', sidecar({})), await begin('consul-template', template)]) {
    await until('the first reload', () => one.app.seen.length > 0);
    await sleep(3_000);
    const seen = one.app.seen.length;
    for (let i = 1; i <= BURST; i += 1) await store.put(one.key, `burst-${i}`);
    await until('the last of the burst', () => one.app.seen.at(-1)?.value === `burst-${BURST}`);
    row(one.name, String(one.app.seen.length - seen));
  }
}
