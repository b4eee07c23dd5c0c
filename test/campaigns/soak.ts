// `npm run soak -- --minutes N`: four built sidecars, each beside a small application, follow etcd, Consul, an HTTP API and
// a file, with a change every 100 ms and a fault every few seconds. Prints a sample of each every 10 s, and at the end
// whether the last values arrived and what grew; exit code 1 when something did, or when they did not.
import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startConsul } from '../support/servers/consul.ts';
import { startEtcd } from '../support/servers/etcd.ts';
import { respond, servesDocument, startHttpSource } from '../support/servers/http-source.ts';
import { freePorts } from '../support/servers/ports.ts';
import { prepare } from '../support/servers/prepare.ts';
import { type FaultProxy, startProxy } from '../support/servers/proxy.ts';
import { growthOf, type Place, type Sample, sampleOf, showHeader, showSample } from './soak-samples.ts';

const CHANGE_MS = 100;
const FAULT_MS = 4_000;
const SAMPLE_MS = 10_000;
/** The last values must have arrived this long after the last change and fault. */
const SETTLE_MS = 30_000;

/** One source: where the sidecar finds it, how it changes, and what can happen to it. */
interface Source {
  readonly name: string;
  readonly url: string;
  readonly put: (value: string) => Promise<void> | void;
  /** Each is over when it settles. */
  readonly faults: Readonly<Record<string, () => Promise<void>>>;
  readonly end: () => Promise<void>;
}

/** Faults of the network, each healed after `lastsMs`. */
function networkFaults(proxy: FaultProxy): Source['faults'] {
  const lasting = (start: () => void, lastsMs: number) => async (): Promise<void> => {
    start();
    await sleep(lastsMs);
    proxy.mode = 'pass';
    proxy.delayMs = 0;
    proxy.cutAfterBytes = Number.POSITIVE_INFINITY;
  };
  const mode = (wanted: FaultProxy['mode']) => () => {
    proxy.mode = wanted;
  };
  return {
    cut: lasting(() => proxy.cut(), 0),
    refuse: lasting(() => {
      proxy.mode = 'refuse';
      proxy.cut();
    }, 1_500),
    hold: lasting(mode('hold'), 1_500),
    'black hole': lasting(mode('black-hole'), 2_000),
    delay: lasting(() => {
      proxy.delayMs = 200;
    }, 2_000),
    'cut after 2 kB': lasting(() => {
      proxy.cutAfterBytes = 2_000;
      proxy.cut();
    }, 1_500),
  };
}

async function etcdSource(): Promise<Source> {
  const server = await startEtcd();
  const proxy = await startProxy(server.port);
  return {
    name: 'etcd',
    url: `etcd://127.0.0.1:${proxy.port}/soak/`,
    put: (value) => server.put('/soak/etcd', value),
    faults: {
      ...networkFaults(proxy),
      compact: () => server.compact(),
      kill: async () => {
        await server.stop('SIGKILL');
        await server.start();
      },
      freeze: async () => {
        server.freeze();
        await sleep(1_500);
        server.thaw();
      },
    },
    end: async () => {
      await proxy.close();
      await server.end();
    },
  };
}

async function consulSource(): Promise<Source> {
  const server = await startConsul();
  const proxy = await startProxy(server.port);
  return {
    name: 'consul',
    url: `consul://127.0.0.1:${proxy.port}/soak/`,
    put: (value) => server.put('soak/consul', value),
    faults: {
      ...networkFaults(proxy),
      freeze: async () => {
        server.freeze();
        await sleep(1_500);
        server.thaw();
      },
    },
    end: async () => {
      await proxy.close();
      await server.end();
    },
  };
}

async function httpSource(): Promise<Source> {
  const server = await startHttpSource();
  const proxy = await startProxy(server.port);
  let document = { etag: '"0"', body: '{}' };
  const good = servesDocument(() => document);
  server.answer(good);
  const answering = (script: typeof good) => async (): Promise<void> => {
    server.answer(script);
    await sleep(2_000);
    server.answer(good);
  };
  return {
    name: 'http',
    url: `http://127.0.0.1:${proxy.port}/soak.json`,
    put: (value) => {
      document = { etag: `"${value}"`, body: JSON.stringify({ http: value }) };
    },
    faults: {
      ...networkFaults(proxy),
      '500': answering((_request, response) => respond(response, 500, 'no')),
      'half a body': answering((_request, response) => respond(response, 200, '{"http":', {})),
      'an empty 200': answering((_request, response) => respond(response, 200, '')),
    },
    end: async () => {
      await proxy.close();
      await server.stop();
    },
  };
}

function fileSource(root: string): Source {
  const path = join(root, 'soak.json');
  const replace = (text: string): void => {
    fs.writeFileSync(`${path}.new`, text);
    fs.renameSync(`${path}.new`, path);
  };
  let last = '{}';
  return {
    name: 'file',
    url: `file://${path}`,
    put: (value) => {
      last = JSON.stringify({ file: value });
      replace(last);
    },
    faults: {
      removed: async () => {
        fs.rmSync(path, { force: true });
        await sleep(200);
        replace(last);
      },
      'half written': async () => {
        fs.writeFileSync(path, last.slice(0, 5));
        await sleep(50);
        replace(last);
      },
    },
    end: () => Promise.resolve(),
  };
}

interface Application {
  readonly title: string;
  /** The number in the file it read last; 0 before the first. */
  readonly seen: () => number;
}

async function startApplication(name: string, file: string, children: ChildProcess[]): Promise<Application> {
  const title = `soak-application-${name}`;
  const child = spawn(process.execPath, [join(process.cwd(), 'bench/application.mjs'), file, title], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let seen = 0;
  await new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === 'ready') resolve();
      else seen = Number(/=\D*(\d+)/.exec(line)?.[1] ?? seen);
    });
  });
  return { title, seen: () => seen };
}

/** A source, the sidecar that follows it, and the application that is notified. */
interface Trio {
  readonly source: Source;
  readonly sidecar: ChildProcess;
  readonly app: Application;
  readonly place: Place;
  readonly samples: Sample[];
  /** The numbers written that the application has not read yet, with their times, oldest first. */
  readonly unseen: Map<number, number>;
  count: number;
}

async function startTrio(source: Source, root: string, children: ChildProcess[]): Promise<Trio> {
  const [output, state] = [join(root, source.name), join(root, `${source.name}-state`)];
  fs.mkdirSync(output);
  const file = join(output, 'config.env');
  const app = await startApplication(source.name, file, children);
  const [port = 0] = await freePorts(1);
  const env = {
    PATH: process.env['PATH'],
    SOURCE: source.url,
    OUTPUT: file,
    STATE_DIR: state,
    APP_PROCESS: `/${app.title}/`,
    LISTEN: `127.0.0.1:${port}`,
    LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'error',
    UPDATE_FREQUENCY: '1s',
    FETCH_TIMEOUT: '5s',
    RELOAD_MIN_INTERVAL: '200ms',
    CONFIRM_PERIOD: '200ms',
  };
  const dist = process.env['CONFIG_SIDECAR_DIST'] ?? join(process.cwd(), 'dist');
  const sidecar = spawn(process.execPath, [join(dist, 'main.js')], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(sidecar);
  const place = { pid: sidecar.pid ?? 0, port, output, state };
  return { source, sidecar, app, place, samples: [], unseen: new Map(), count: 0 };
}

async function write(trio: Trio): Promise<void> {
  trio.count += 1;
  trio.unseen.set(trio.count, Date.now());
  await trio.source.put(String(trio.count));
}

/** How long the oldest value that the application could have read by now, or a newer one, is waiting; in milliseconds. */
function lagOf({ unseen, app }: Trio): number {
  for (const number of unseen.keys()) if (number <= app.seen()) unseen.delete(number);
  const [oldest] = unseen.values();
  return oldest === undefined ? 0 : Date.now() - oldest;
}

/** One change after the other. What a fault of the server has met may be lost; the next is written all the same. */
async function change(trio: Trio, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await write(trio).catch(() => undefined);
    await sleep(CHANGE_MS);
  }
}

/** Makes a fault every few seconds; returns how many of each there were. */
async function disturb({ source }: Trio, isOver: () => boolean): Promise<readonly string[]> {
  const made = new Map<string, number>();
  const names = Object.keys(source.faults);
  while (!isOver()) {
    await sleep(FAULT_MS * (0.5 + Math.random()));
    const name = names[Math.floor(Math.random() * names.length)] ?? '';
    if (isOver()) break;
    made.set(name, (made.get(name) ?? 0) + 1);
    await source.faults[name]?.();
  }
  return Array.from(made, ([name, count]) => `${name} ${count}`);
}

/** Milliseconds until the application has read the last value; null when it has not in time. */
async function settle({ app, count }: Trio): Promise<number | null> {
  const startedAt = Date.now();
  while (Date.now() - startedAt < SETTLE_MS) {
    if (app.seen() === count) return Date.now() - startedAt;
    await sleep(10);
  }
  return null;
}

async function measure(trios: readonly Trio[]): Promise<void> {
  for (const trio of trios) {
    const { source, sidecar, place, samples } = trio;
    if (sidecar.exitCode !== null)
      throw new Error(`The sidecar of ${source.name} ended: ${sidecar.exitCode}`);
    const sample = await sampleOf(place, lagOf(trio), metricsOf);
    samples.push(sample);
    console.log(showSample(source.name, sample));
  }
}

/** Says how it ended; whether that is well. */
async function judge(trio: Trio, faults: readonly string[]): Promise<boolean> {
  const { name } = trio.source;
  await write(trio);
  const settledMs = await settle(trio);
  const grown = growthOf(trio.samples);
  console.log(`\n${name}: ${trio.count} changes; faults: ${faults.join(', ')}`);
  if (settledMs === null)
    console.log(`${name}: the last value, ${trio.count}, did not arrive; ${trio.app.seen()} did`);
  else console.log(`${name}: the last value arrived after ${settledMs} ms`);
  console.log(`${name}: ${grown.length === 0 ? 'nothing grew' : `grew: ${grown.join('; ')}`}`);
  return settledMs !== null && grown.length === 0;
}

async function main(minutes: number): Promise<boolean> {
  await prepare(['campaigns']);
  const root = fs.mkdtempSync(join(tmpdir(), 'config-sidecar-soak-'));
  const children: ChildProcess[] = [];
  process.once('exit', () => {
    for (const child of children) child.kill('SIGKILL');
  });
  const sources = [await etcdSource(), await consulSource(), await httpSource(), fileSource(root)];
  try {
    const trios: Trio[] = [];
    for (const source of sources) trios.push(await startTrio(source, root, children));
    const endAt = Date.now() + minutes * 60_000;
    let isOver: boolean = false;
    const changes = trios.map((trio) => change(trio, () => isOver));
    const faults = trios.map((trio) => disturb(trio, () => isOver));
    console.log(showHeader());
    while (Date.now() < endAt) {
      await sleep(SAMPLE_MS);
      await measure(trios);
    }
    isOver = true;
    const made = await Promise.all(faults);
    await Promise.all(changes);
    const verdicts: boolean[] = [];
    for (const [at, trio] of trios.entries()) verdicts.push(await judge(trio, made[at] ?? []));
    return verdicts.every((isWell) => isWell);
  } finally {
    for (const source of sources) await source.end();
    fs.rmSync(root, { recursive: true, force: true });
  }
}

function metricsOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/metrics', timeout: 5_000 }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '20' } } });
process.exit((await main(Number(values.minutes))) ? 0 : 1);
