// The PEM files that a store's own settings name (`ETCDCTL_CACERT`, `CONSUL_CLIENT_KEY`), read and checked at each use.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SidecarError } from '../lib/errors.ts';
import { whyUnreadable } from '../lib/small-file.ts';
import type { GivenSettings } from './provider.ts';

/** Names of the three settings, whose values are paths. */
export interface TlsSettingNames {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** What the files hold; null where the setting is not set. */
export interface TlsFiles {
  readonly ca: Buffer | null;
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
}

type Setting = (name: string) => string | undefined;

/** A certificate without its key or the other way round, and files for TLS with a URL that asks for none. */
export function tlsMistakes(
  { ca, cert, key }: TlsSettingNames,
  tls: boolean,
  { has, said }: GivenSettings,
): readonly string[] {
  const mistakes: string[] = [];
  if (has(cert) !== has(key)) {
    const [given, absent] = has(cert) ? [cert, key] : [key, cert];
    mistakes.push(`Cannot use ${said(given)} without ${absent}: a certificate and its key go together`);
  }
  const given = [ca, cert].find(has);
  if (!tls && given !== undefined) {
    mistakes.push(
      `Cannot use ${said(given)} with ${said('SOURCE')}: this URL asks for no TLS; write its scheme with an "s" at the end`,
    );
  }
  return mistakes;
}

/**
 * Reads the files. Throws `source.tls` with the setting and the path of a file that cannot be read or is not what its
 * setting needs: TLS libraries name neither.
 */
export function readTlsFiles(names: TlsSettingNames, setting: Setting): TlsFiles {
  const [ca, cert, key] = [names.ca, names.cert, names.key].map((name) => readPem(name, setting(name)));
  if (ca) checkCertificates(ca);
  if (cert) checkCertificates(cert);
  if (cert && key) checkPair(cert, key);
  return { ca: ca?.bytes ?? null, cert: cert?.bytes ?? null, key: key?.bytes ?? null };
}

/** A file that was read, and how messages name it: `ETCDCTL_KEY "/tls/client.key"`. */
interface Pem {
  readonly shown: string;
  readonly bytes: Buffer;
}

function readPem(name: string, path: string | undefined): Pem | null {
  if (path === undefined) return null;
  const shown = `${name} "${path}"`;
  try {
    return { shown, bytes: readFileSync(path) };
  } catch (thrown) {
    const message = `Cannot read ${shown}: ${whyUnreadable(thrown)}`;
    throw new SidecarError(message, { code: 'source.tls', stage: 'source', cause: thrown });
  }
}

const CERTIFICATE = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END [A-Z0-9 ]+-----/g;

function checkCertificates(pem: Pem): void {
  const text = pem.bytes.toString('latin1');
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) {
    throw unusable(pem, /PRIVATE KEY-----/.test(text) ? HOLDS_KEY : 'it holds no certificate in PEM format');
  }
  certificates.forEach((certificate, at) => {
    try {
      new X509Certificate(certificate);
    } catch {
      throw unusable(pem, `certificate ${at + 1} in it is damaged`);
    }
  });
}

const HOLDS_KEY = 'it holds a private key and no certificate; are the two files swapped?';
const HOLDS_CERTIFICATE = 'it holds a certificate and no private key; are the two files swapped?';
const ENCRYPTED =
  'the private key is encrypted; decrypt it (openssl pkey -in encrypted.key -out plain.key) and protect the file by its mode';

/** The first certificate is ours; those after it are its issuers. */
function checkPair(cert: Pem, key: Pem): void {
  const privateKey = readPrivateKey(key);
  const [own = ''] = cert.bytes.toString('latin1').match(CERTIFICATE) ?? [];
  if (new X509Certificate(own).checkPrivateKey(privateKey)) return;
  throw unusable(key, `the private key does not belong to the certificate of ${cert.shown}`);
}

function readPrivateKey(key: Pem): KeyObject {
  const text = key.bytes.toString('latin1');
  if (!/PRIVATE KEY-----/.test(text)) {
    throw unusable(
      key,
      /CERTIFICATE-----/.test(text) ? HOLDS_CERTIFICATE : 'it holds no private key in PEM format',
    );
  }
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(text)) throw unusable(key, ENCRYPTED);
  try {
    return createPrivateKey(key.bytes);
  } catch {
    throw unusable(key, 'the private key in it is damaged, or of a kind that is not supported');
  }
}

function unusable({ shown }: Pem, reason: string): SidecarError {
  return new SidecarError(`Cannot use ${shown}: ${reason}`, { code: 'source.tls', stage: 'source' });
}
