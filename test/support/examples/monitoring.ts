// Prometheus and Alertmanager with the files of examples/monitoring, made quick, and a webhook that notes what arrives.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Place } from '../e2e/place.ts';
import { httpGet } from '../e2e/sidecar.ts';
import { until } from '../e2e/until.ts';
import { programsOf } from '../presets/programs.ts';
import { freePorts, portOf } from '../servers/ports.ts';
import { EXAMPLES } from './manifest.ts';

/** The folder of the example. */
export const MONITORING = join(EXAMPLES, 'monitoring');

/** One alert as Alertmanager sends it to a webhook. */
interface Alert {
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** When it arrived here, in Unix milliseconds. */
  readonly at: number;
}

export interface Monitoring {
  /** Everything that arrived at the webhook so far. */
  readonly alerts: () => readonly Alert[];
  /** The value of every series of an instant query. @throws when Prometheus does not take the query. */
  readonly query: (query: string) => Promise<readonly number[]>;
}

interface Options {
  readonly place: Place;
  readonly onTestFinished: (end: () => void | Promise<void>) => void;
  /** Ports of the sidecars on 127.0.0.1. */
  readonly sidecars: readonly number[];
}

const file = (name: string): string => readFileSync(join(MONITORING, name), 'utf8');

/** Starts all three; they end with the test. */
export async function startMonitoring({ place, onTestFinished, sidecars }: Options): Promise<Monitoring> {
  const { alerts, port: webhook, close } = await startWebhook();
  const [port = 0, alertmanager = 0] = await freePorts(2);
  const running: ChildProcess[] = [];
  onTestFinished(async () => {
    await Promise.all(running.map(ended));
    close();
  });
  writeFiles(place, { webhook, alertmanager, sidecars });
  running.push(startAlertmanager(place, alertmanager));
  running.push(startPrometheus(place, port));
  await until('Alertmanager is ready', async () => (await httpGet(alertmanager, '/-/ready')).status === 200);
  await until('Prometheus is ready', async () => (await httpGet(port, '/-/ready')).status === 200);
  return { alerts: () => alerts, query: (query) => ask(port, query) };
}

/** The files as they are, but for addresses and for times, which are seconds. */
function writeFiles(
  place: Place,
  { webhook, alertmanager, sidecars }: Record<'webhook' | 'alertmanager', number> & Pick<Options, 'sidecars'>,
): void {
  const addresses = sidecars.map((one) => `127.0.0.1:${one}`).join(', ');
  place.write('rules.yml', file('rules.yml').replaceAll(/for: \w+$/gm, 'for: 2s'));
  const prometheus = file('prometheus.yml')
    .replaceAll(/interval: \w+$/gm, 'interval: 1s')
    .replace('alertmanager.example:9093', `127.0.0.1:${alertmanager}`)
    .replace(/\[web-1.*\]/, `[${addresses}]`);
  place.write('prometheus.yml', prometheus);
  const routes = file('alertmanager.yml')
    .replaceAll(/(wait|group_interval): \w+$/gm, '$1: 1s')
    .replace('http://pager.example/config-sidecar', `http://127.0.0.1:${webhook}/`);
  place.write('alertmanager.yml', routes);
}

function startPrometheus(place: Place, port: number): ChildProcess {
  const { path, env } = programsOf('prometheus');
  const words = [
    ...[`--config.file=${place.at('prometheus.yml')}`, `--storage.tsdb.path=${place.directory('tsdb')}`],
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  return spawn(path('prometheus'), words, { env, stdio: 'ignore' });
}

/** Debian's reads its templates below /usr/share, which it gets in a mount namespace of its own. */
function startAlertmanager(place: Place, port: number): ChildProcess {
  const { path, env, root } = programsOf('alertmanager');
  const own = process.getuid?.() === 0 ? '--mount' : '--map-root-user';
  const script = 'mount --bind "$0" /usr/share && exec "$@"';
  const words = [
    ...[own, '--mount', 'sh', '-c', script, join(root, 'usr/share'), path('prometheus-alertmanager')],
    ...[`--config.file=${place.at('alertmanager.yml')}`, `--storage.path=${place.directory('alertmanager')}`],
    ...[`--web.listen-address=127.0.0.1:${port}`, '--cluster.listen-address='],
  ];
  return spawn('unshare', words, { env, stdio: 'ignore' });
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

async function startWebhook() {
  const alerts: Alert[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const at = Date.now();
      alerts.push(...JSON.parse(body).alerts.map((alert: Omit<Alert, 'at'>) => ({ ...alert, at })));
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { alerts, port: portOf(server), close: () => void server.close() };
}

async function ask(port: number, query: string): Promise<readonly number[]> {
  const { status, body } = await httpGet(port, `/api/v1/query?query=${encodeURIComponent(query)}`);
  if (status !== 200) throw new Error(`Prometheus does not take ${query}: ${body}`);
  const { result } = JSON.parse(body).data as {
    readonly result: readonly { readonly value: [number, string] }[];
  };
  return result.map(({ value }) => Number(value[1]));
}

/** The queries of the dashboard, with its variables standing for everything. */
export function dashboardQueries(): readonly string[] {
  const { panels } = JSON.parse(file('dashboard.json')) as {
    readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
  };
  return panels.flatMap(({ targets }) =>
    targets.map(({ expr }) =>
      expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(job|instance|target)\b/g, '.*'),
    ),
  );
}
