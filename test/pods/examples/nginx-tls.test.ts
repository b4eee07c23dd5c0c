// @module-tag root
// examples/nginx-tls with a real nginx and certificates of a real openssl: what its README promises happens.
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { DIST } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { EXAMPLES, readPod, startOf } from '../../support/examples/manifest.ts';
import { openMount } from '../../support/examples/mounted.ts';
import { type Issued, openOpenSsl, type Pair } from '../../support/examples/openssl.ts';
import { installCommand } from '../../support/examples/packaged.ts';
import { stateOf } from '../../support/examples/state.ts';
import { ask, headerOf, startClients } from '../../support/examples/tls-clients.ts';
import { type Environment, openTogether, type Program } from '../../support/examples/together.ts';
import { startEtcd } from '../../support/servers/etcd.ts';
import { freePorts, portOf } from '../../support/servers/ports.ts';

const POD = readPod('nginx-tls/pod.yaml');
const HOST = 'shop.example';
const ANSWER = 'as it always was';

test('certificate and configuration are one release: no failed request, no bad certificate, one reload of both', async () => {
  const pod = await openPod();
  const { openssl, site, mount, put, port } = pod;
  const first = openssl.issue(HOST);
  mount(first);
  expect(await pod.run('config-once').ended).toBe(0);
  expect(statSync(pod.at('tls/tls.key')).mode).toBe(0o100600);
  const nginx = pod.run('nginx');
  // Shorter than the manifest's and the default: what is to be seen does not depend on them.
  const hasty = { CONFIRM_TIMEOUT: '5s', CONFIRM_PERIOD: '1s', DEBOUNCE: '500ms' };
  const sidecar = pod.run('config-sidecar', { LISTEN: `127.0.0.1:${pod.sidecarPort}`, ...hasty });
  const { target, ends } = stateOf(pod.sidecarPort);
  const place = { port, host: HOST, ca: openssl.ca, wanted: ANSWER };
  await until('nginx serves', () => ask(place));
  await until('the first generation is confirmed', async () => (await target()).lastKnownGood);
  const clients = startClients(place, 3);

  const refuse = async (pair: Pair, reason: string): Promise<void> => {
    mount(pair);
    await until(`it is refused since ${reason}`, () => sidecar.log().includes(reason));
    await ends('rejected', 'validate.command');
  };
  const renew = async (): Promise<Issued> => {
    const renewed = openssl.issue(HOST);
    mount(renewed);
    await until('clients are shown the renewed one', () => clients.seen().at(-1) === renewed.serial);
    await ends('applied');
    return renewed;
  };

  const second = await renew();
  const other = openssl.issue(HOST);
  await refuse({ cert: other.cert, key: second.key }, 'tls.key is not its key');
  await refuse(openssl.issue(HOST, { days: -1 }), 'it expired on');
  await refuse(openssl.issue('other.example'), `it is not for \\"${HOST}\\"`);
  await refuse({ cert: second.cert.slice(0, 300), key: second.key }, 'cannot be read');
  const third = await renew();
  // nginx finds only when it reloads that a port is taken: the certificate is rolled back with the configuration.
  const taken = openssl.issue(HOST);
  await put({ listen: site.application });
  mount(taken);
  await ends('rolled-back');
  expect(readFileSync(pod.at('tls/tls.crt'), 'utf8')).toBe(third.cert);
  await put({ listen: site.listen });
  await until('it is served', () => clients.seen().at(-1) === taken.serial);
  await ends('applied');

  // A new certificate and a new configuration: one reload, and each is served.
  const reloads = reloadsIn(nginx.log());
  const fourth = openssl.issue(HOST);
  await put({ release: '2' });
  mount(fourth);
  await until('the fourth is served', () => clients.seen().at(-1) === fourth.serial);
  await ends('applied');
  expect(await headerOf(place, 'x-release')).toBe('2');
  expect(reloadsIn(nginx.log())).toBe(reloads + 1);

  const { requests, failures } = await clients.stop();
  console.info(`nginx-tls: ${requests} requests, ${failures.length} failed`);
  expect(failures).toEqual([]);
  expect(requests).toBeGreaterThan(200);
  expect(clients.seen()).toEqual([first, second, third, taken, fourth].map(({ serial }) => serial));
  expect(new Set(signalsIn(nginx.log()))).toEqual(new Set(['reconfiguring']));

  // The other way that the README names: nginx itself as the checker.
  const own = `${pod.program} -t -q -e stderr -p ${pod.at('')} -c {path}`;
  mount({ cert: other.cert, key: second.key });
  const asked = pod.run('config-once', { OUTPUTS: pod.elsewhere(own) });
  expect(await asked.ended).toBe(4);
  expect(asked.log()).toContain('key values mismatch');
});

/** What was done with each SIGHUP that arrived: the master says "reconfiguring", a worker "ignoring". */
function signalsIn(log: string): readonly string[] {
  return [...log.matchAll(/signal 1 \(SIGHUP\) received from \d+, (\w+)/g)].map(([, done = '']) => done);
}

function reloadsIn(log: string): number {
  return signalsIn(log).filter((done) => done === 'reconfiguring').length;
}

/** The folders and addresses of the pod, its store and application, and what starts its other containers. */
async function openPod() {
  const { at, start, folder } = await openTogether();
  for (const path of ['tls', 'config', 'elsewhere/tls', 'elsewhere/config', 'run'])
    mkdirSync(at(path), { recursive: true });
  const etcd = await startEtcd();
  onTestFinished(() => etcd.end());
  const program = installCommand('nginx', folder);
  const openssl = openOpenSsl(folder);
  const [port = 0, sidecarPort = 0] = await freePorts(2);
  const site = {
    server_name: HOST,
    application: await startApplication(),
    listen: `127.0.0.1:${port}`,
  };
  const put = (values: Environment): Promise<void> =>
    etcd.putAll(Object.fromEntries(Object.entries(values).map(([key, value]) => [`/shop/${key}`, value])));
  await put(site);
  const replace = openMount(at('secret'));
  const example = join(EXAMPLES, 'nginx-tls/');
  const replaced = {
    '/templates/': `${example}templates/`,
    '/certificate/': `${example}certificate/`,
    '/example/': example,
    '"/tls/': `"${at('tls')}/`,
    '/config/nginx.conf': at('config/nginx.conf'),
    '/secret/': `${at('secret')}/`,
    '//etcd:2379': `//127.0.0.1:${etcd.port}`,
    '/run/nginx/': `${at('run')}/`,
  };
  const run = (name: string, variables: Environment = {}): Program => {
    const { words, env } = startOf(POD, name, replaced);
    const main = name === 'nginx' ? [program] : [process.execPath, join(DIST, 'main.js')];
    return start(name, [...main, ...words], { env: { ...env, ...variables } });
  };
  const mount = ({ cert, key }: Pair): void => replace({ 'tls.crt': cert, 'tls.key': key });
  /** Both outputs in folders that nginx does not read, with another checker. */
  const elsewhere = (checker: string): string =>
    JSON.stringify([
      { output: `${at('elsewhere/tls')}/`, template: `${example}certificate` },
      {
        output: at('elsewhere/config/nginx.conf'),
        template: `${example}templates/nginx.conf.liquid`,
        validate_command: checker,
      },
    ]);
  return { at, openssl, site, mount, put, elsewhere, run, port, sidecarPort, program };
}

/** The application that stays as it is; gives its address. */
async function startApplication(): Promise<string> {
  const server = createServer((_request, response) => response.end(ANSWER));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `127.0.0.1:${portOf(server)}`;
}
