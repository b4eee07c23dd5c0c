// Run on every generation before it is published: refuses a certificate that no client should see.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder = '.'] = process.argv.slice(2);
const reasons = findReasons();
for (const reason of reasons) console.error(`tls.crt: ${reason}`);
process.exitCode = reasons.length === 0 ? 0 : 1;

function findReasons() {
  try {
    const certificate = new X509Certificate(read('tls.crt'));
    const { validFrom, validTo } = certificate;
    const [, name = ''] = /^\s*server_name (\S+);$/m.exec(read('nginx.conf')) ?? [];
    return [
      ...(Date.parse(validTo) > Date.now() ? [] : [`it expired on ${validTo}`]),
      ...(Date.parse(validFrom) <= Date.now() ? [] : [`it is not valid before ${validFrom}`]),
      ...(certificate.checkPrivateKey(createPrivateKey(read('tls.key'))) ? [] : ['tls.key is not its key']),
      ...(certificate.checkHost(name) === undefined ? [`it is not for "${name}"`] : []),
    ];
  } catch (error) {
    return [`certificate or key cannot be read: ${error.message}`];
  }
}

function read(name) {
  return readFileSync(join(folder, name), 'utf8');
}
