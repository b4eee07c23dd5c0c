// examples/nginx-tls/pod.yaml as a pod of a test: what stands in for what is no file of the example.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Images } from '../pods/images.ts';
import { changeContainers, type Manifest, readExample, readManifest, withEnv } from '../pods/manifest.ts';
import { createPod, type Pod } from '../pods/pod.ts';
import { EXAMPLES } from './manifest.ts';
import type { Pair } from './openssl.ts';

const EXAMPLE = 'nginx-tls';

/** The host that the certificates are for. */
export const HOST = 'shop.example';

/** What is mounted at `/secret`. */
export function secretOf({ cert, key }: Pair): Readonly<Record<string, string>> {
  return { 'tls.crt': cert, 'tls.key': key };
}

/** The pod, with this certificate; nothing runs yet. */
export async function createTlsPod(images: Images, pair: Pair): Promise<Pod> {
  return createPod(playable(images.sidecar), {
    images,
    as: {
      nginx: await images.server('nginx'),
      'legacy-application': images.sidecar,
      'config-sidecar': images.sidecar,
    },
    configMaps: {
      'nginx-tls-secret': secretOf(pair),
      'nginx-tls-site': { server_name: HOST, application: '127.0.0.1:8080' },
      'nginx-tls-certificate-templates': filesIn('certificate'),
      'nginx-tls-templates': filesIn('templates'),
      'nginx-tls-example': {
        'schema.json': readExample(EXAMPLE, 'schema.json'),
        'check.mjs': readExample(EXAMPLE, 'check.mjs'),
      },
    },
  });
}

/** The manifest with what is not a file of the example: an application; ConfigMaps for the Secret and for etcd. */
function playable(image: string): Manifest {
  const source = { SOURCE: 'tls=/secret/ /site/' };
  const once = withEnv(readManifest(EXAMPLE), 'config-once', source);
  const manifest = withEnv(once, 'config-sidecar', { ...source, CONFIRM_PERIOD: '1s' });
  const program = "require('http').createServer((_, answer) => answer.end('here')).listen(8080, '127.0.0.1')";
  const site = { name: 'site', mountPath: '/site', readOnly: true };
  const { spec } = changeContainers(manifest, (one) => {
    if (one.name === 'application') return { ...one, image, command: ['node', '-e', program] };
    return one.name.startsWith('config-')
      ? { ...one, volumeMounts: [...(one.volumeMounts ?? []), site] }
      : one;
  });
  const volumes = (spec.volumes ?? []).map((volume) =>
    volume.name === 'secret' ? { name: 'secret', configMap: { name: 'nginx-tls-secret' } } : volume,
  );
  const ofSite = { name: 'site', configMap: { name: 'nginx-tls-site' } };
  return { ...manifest, spec: { ...spec, volumes: [...volumes, ofSite] } };
}

function filesIn(folder: string): Readonly<Record<string, string>> {
  const names = readdirSync(join(EXAMPLES, EXAMPLE, folder));
  return Object.fromEntries(names.map((name) => [name, readExample(EXAMPLE, `${folder}/${name}`)]));
}

/** The serial number of the certificate that a client in the pod's network is shown; '' while there is none. */
export async function serialIn(pod: Pod): Promise<string> {
  const client = `const { connect } = require('tls');
    const socket = connect({ host: '127.0.0.1', port: 8443, servername: '${HOST}', rejectUnauthorized: false }, () => {
      console.log(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', () => {});`;
  return (await pod.runInNetwork(process.execPath, '-e', client)).trim();
}
