// examples/syslog-ng-logs/pod.yaml as a pod of a test: its images, a Consul in it, and a collector in its network.
import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Images } from '../pods/images.ts';
import { readExample, readManifest, withEnv, withServices } from '../pods/manifest.ts';
import { createPod, type Pod } from '../pods/pod.ts';
import { consulContainer } from '../pods/stores.ts';
import { unpackedServer } from './packaged.ts';

const run = promisify(execFile);
const EXAMPLE = 'syslog-ng-logs';

/** The port that the collector of `collectIn` listens on. */
export const COLLECTOR_PORT = 5140;

/** The pod; nothing runs yet. The image of `tagFor` is the caller's to remove. */
export async function createShippingPod(images: Images): Promise<Pod> {
  const server = await images.server('nginx', 'consul');
  const both = await buildWithSyslogNg(images);
  const changed = { CONFIRM_PERIOD: '1s' };
  const manifest = withEnv(readManifest(EXAMPLE), 'config-sidecar-syslog-ng', changed);
  const names = ['syslog-ng.conf.liquid', 'schema.json', 'nginx.conf'];
  return createPod(withServices(manifest, consulContainer(server)), {
    images,
    as: { nginx: server, 'syslog-ng': both, 'config-sidecar-syslog-ng': both },
    configMaps: {
      [EXAMPLE]: Object.fromEntries(names.map((name) => [name, readExample(EXAMPLE, name)])),
    },
  });
}

/** The name of the image that `createShippingPod` makes. */
export function tagFor(images: Images): string {
  return `${images.sidecar}-syslog-ng`;
}

/** The sidecar's image with syslog-ng in it, as the README of the example says. */
async function buildWithSyslogNg(images: Images): Promise<string> {
  const tag = tagFor(images);
  const context = mkdtempSync(join(tmpdir(), 'syslog-ng-image-'));
  const files = join(context, 'files');
  const { root, libraries, program } = unpackedServer('syslog-ng');
  for (const path of ['usr/sbin/syslog-ng', 'usr/lib/syslog-ng']) {
    mkdirSync(dirname(join(files, path)), { recursive: true });
    cpSync(join(root, path), join(files, path), { recursive: true, dereference: true });
  }
  const modules = join(root, 'usr/lib/syslog-ng/3.38');
  const loaded = readdirSync(modules).map((name) => join(modules, name));
  for (const library of await librariesOf(
    [program, ...loaded.filter((path) => statSync(path).isFile())],
    libraries,
  )) {
    const to = join(files, library.startsWith(`${root}/`) ? library.slice(root.length) : library);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(realpathSync(library), to);
  }
  writeFileSync(
    join(context, 'Dockerfile'),
    `FROM ${images.sidecar}\nCOPY files /\nENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin\n`,
  );
  await images.podman.must(
    'build',
    '--network',
    'none',
    '--format',
    'docker',
    '--layers=false',
    '-t',
    tag,
    context,
  );
  rmSync(context, { recursive: true });
  return tag;
}

async function librariesOf(
  programs: readonly string[],
  folders: readonly string[],
): Promise<ReadonlySet<string>> {
  const env = { ...process.env, LD_LIBRARY_PATH: folders.join(':') };
  const { stdout } = await run('ldd', [...programs], { env });
  return new Set(stdout.match(/\/\S+(?= \(0x)/g) ?? []);
}

/** Collects lines at `COLLECTOR_PORT` of the pod until one begins so, and gives them all. */
export async function collectIn(pod: Pod, beginning: string): Promise<readonly string[]> {
  const collector = `let text = '';
    const server = require('net').createServer((socket) => socket.on('data', (chunk) => {
      text += chunk;
      if (/^${beginning}.*\\n/m.test(text)) console.log(text), process.exit();
    }));
    server.listen(${COLLECTOR_PORT}, '127.0.0.1');`;
  return (await pod.runInNetwork(process.execPath, '-e', collector)).split('\n');
}
