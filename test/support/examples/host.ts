// The host of examples/host-systemd: nginx, HAProxy and syslog-ng with the files of their packages, and the unit beside them.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { isName } from '../../../src/settings/table.ts';
import { DIST } from '../e2e/sidecar.ts';
import { until } from '../e2e/until.ts';
import { freePorts } from '../servers/ports.ts';
import { EXAMPLES } from './manifest.ts';
import { installCommand } from './packaged.ts';
import { openTogether, type Program, type Together } from './together.ts';
import { startOfUnit, valuesOf } from './unit.ts';

const EXAMPLE = join(EXAMPLES, 'host-systemd');

/** The unit of the example. */
export const UNIT = readFileSync(join(EXAMPLE, 'config-sidecar.service'), 'utf8');

export interface Host {
  /** Of HAProxy, which is asked from outside. */
  readonly web: number;
  /** Of nginx, behind HAProxy. */
  readonly pages: number;
  /** Of the sidecar's endpoints. */
  readonly port: number;
  /** Starts the three services with the files that their packages bring. */
  readonly startServices: () => Promise<void>;
  /** Installs the settings file, without these targets. */
  readonly writeSettings: (...without: readonly string[]) => void;
  readonly startSidecar: () => Program;
  /** Runs a command of the program, with the settings and the confinement of the unit; gives its exit code and all it printed. */
  readonly command: (word: string) => Promise<{ readonly code: number | null; readonly output: string }>;
  /** As `systemctl reload` does it. */
  readonly reload: () => Promise<void>;
}

/** Opens it, with a page that nginx can serve. */
export async function openHost(consulPort: number): Promise<Host> {
  const together = await openTogether();
  const { at, start } = together;
  const [web = 0, pages = 0, port = 0] = await freePorts(3);
  for (const name of ['etc/nginx', 'etc/haproxy', 'etc/syslog-ng', 'settings', 'state', 'log', 'run', 'www'])
    mkdirSync(at(name), { recursive: true });
  writeFileSync(at('www/index.html'), 'a page\n');
  const put = placed(at, { consulPort, web, pages, port });
  for (const file of readdirSync(EXAMPLE).filter((name) => /\.(?:liquid|json)$/.test(name)))
    writeFileSync(at(`settings/${file}`), put(readFileSync(join(EXAMPLE, file), 'utf8')));

  const writeSettings: Host['writeSettings'] = (...without) => {
    const text = put(readFileSync(join(EXAMPLE, 'settings.yaml'), 'utf8'));
    const kept = text
      .split(/^(?= {2}\w+:$)/m)
      .filter((part) => !without.some((one) => part.startsWith(`  ${one}:`)));
    writeFileSync(at('settings/settings.yaml'), kept.join(''));
  };
  const startProgram = (name: string, ...words: readonly string[]): Program => {
    const { nodeWords, env } = startOfUnit(UNIT, {});
    expect(Object.keys(env).filter((name) => !isName(name))).toEqual([]);
    const own = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, put(value)]));
    const [capabilities = ''] = valuesOf(UNIT, 'CapabilityBoundingSet');
    const kept = capabilities.toLowerCase().replaceAll(/cap_(\w+)/g, ',+$1');
    // As NoNewPrivileges= and CapabilityBoundingSet= have it.
    const confined = ['setpriv', '--no-new-privs', `--bounding-set=-all${kept}`, '--inh-caps=-all', '--'];
    const remember = ['sh', '-c', `echo $$ > ${name}.pid; exec "$@"`, 'sh'];
    const program = [...remember, ...confined, process.execPath, ...nodeWords, join(DIST, 'main.js')];
    const PATH = `${at('bin')}:${process.env['PATH']}`;
    return start(name, [...program, ...words], { env: { ...own, PATH, CONFIRM_PERIOD: '1s' } });
  };
  const startSidecar = () => startProgram('sidecar');
  const command: Host['command'] = async (word) => {
    const { ended, log } = startProgram(word, word);
    return { code: await ended, output: log() };
  };
  const reload = async (): Promise<void> => {
    const [command = ''] = valuesOf(UNIT, 'ExecReload');
    const { ended } = start('reload', [
      'sh',
      '-c',
      `MAINPID=$(cat sidecar.pid); ${command.replace('/bin/', '')}`,
    ]);
    expect(await ended).toBe(0);
  };
  const startServices = () => startAll(together, { web, pages });
  return { web, pages, port, startServices, writeSettings, startSidecar, command, reload };
}

interface Ports {
  readonly consulPort: number;
  readonly web: number;
  readonly pages: number;
  readonly port: number;
}

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** Replaces the paths, ports and users of a real host in a file of the example. */
function placed(at: Together['at'], { consulPort, web, pages, port }: Ports): (text: string) => string {
  const temporary = TEMPORARY.map((name) => `${name}_temp_path ${at(`run/${name}`)};`).join('\n');
  const replaced = {
    '/etc/config-sidecar': at('settings'),
    '/var/lib/config-sidecar': at('state'),
    '/var/log/nginx': at('log'),
    '/var/www/html': at('www'),
    '/run/nginx.pid': at('run/nginx.pid'),
    'consul://127.0.0.1:8500': `consul://127.0.0.1:${consulPort}`,
    '127.0.0.1:9533': `127.0.0.1:${port}`,
    '127.0.0.1:8080': `127.0.0.1:${pages}`,
    'bind :80\n': `bind 127.0.0.1:${web}\n`,
    'http {\n': `http {\n${temporary}\n`,
    'user www-data': 'user root',
    'user haproxy': 'user root',
    'group haproxy': 'group root',
    // Last: the folder of this test is below none of them.
    ...Object.fromEntries(
      ['nginx', 'haproxy', 'syslog-ng'].map((name) => [`/etc/${name}`, at(`etc/${name}`)]),
    ),
  };
  return (text) => Object.entries(replaced).reduce((value, [from, to]) => value.replaceAll(from, to), text);
}

async function startAll(
  { at, start, folder }: Together,
  { web, pages }: Pick<Ports, 'web' | 'pages'>,
): Promise<void> {
  const put = placed(at, { consulPort: 0, web, pages, port: 0 });
  const stock: Readonly<Record<string, string>> = {
    'nginx/mime.types': 'types { text/html html; }\n',
    'nginx/nginx.conf': `user www-data;\npid /run/nginx.pid;\nerror_log /var/log/nginx/error.log;\nevents {}
      http {\naccess_log off; server { listen 127.0.0.1:8080; return 200 "of the package"; } }\n`,
    'haproxy/haproxy.cfg': `global\n  stats socket ${at('run/haproxy.sock')}\n`,
    'syslog-ng/syslog-ng.conf': '@version: 3.38\n',
  };
  for (const [name, text] of Object.entries(stock)) writeFileSync(at(`etc/${name}`), put(text));
  const run = (name: 'nginx' | 'haproxy' | 'syslog-ng', ...words: readonly string[]): Program =>
    start(name, [installCommand(name, folder), ...words]);
  run('nginx', '-c', at('etc/nginx/nginx.conf'), '-g', 'daemon off;');
  run('haproxy', '-Ws', '-f', at('etc/haproxy/haproxy.cfg'), '-p', at('run/haproxy.pid'));
  run(
    'syslog-ng',
    ...['-F', '--no-caps', '-f', at('etc/syslog-ng/syslog-ng.conf'), '-R', at('run/persist')],
    ...['-c', at('run/control'), '-p', at('run/syslog-ng.pid')],
  );
  await until('nginx serves what its package brings', async () => {
    const response = await fetch(`http://127.0.0.1:${pages}/`);
    return (await response.text()) === 'of the package';
  });
}
