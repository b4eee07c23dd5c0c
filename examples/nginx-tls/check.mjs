// Run on every generation before it is published: refuses a certificate that no client should see. In the copy that is checked
// the certificate lies beside the configuration as it does on the volumes.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const [configuration = 'nginx.conf'] = process.argv.slice(2);
const tls = join(dirname(configuration), '../tls');
const reasons = findReasons();
for (const reason of reasons) console.error(`tls.crt: ${reason}`);
process.exitCode = reasons.length === 0 ? 0 : 1;

function findReasons() {
  try {
    const certificate = new X509Certificate(read(join(tls, 'tls.crt')));
    const { validFrom, validTo } = certificate;
    const [, name = ''] = /^\s*server_name (\S+);$/m.exec(read(configuration)) ?? [];
    return [
      ...(Date.parse(validTo) > Date.now() ? [] : [`it expired on ${validTo}`]),
      ...(Date.parse(validFrom) <= Date.now() ? [] : [`it is not valid before ${validFrom}`]),
      ...(certificate.checkPrivateKey(createPrivateKey(read(join(tls, 'tls.key'))))
        ? []
        : ['tls.key is not its key']),
      ...(certificate.checkHost(name) === undefined ? [`it is not for "${name}"`] : []),
    ];
  } catch (error) {
    return [`certificate or key cannot be read: ${error.message}`];
  }
}

function read(path) {
  return readFileSync(path, 'utf8');
}
