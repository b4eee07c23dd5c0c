// Makes authorities and certificates for tests, with nothing but Node: no openssl command has to be there.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';

/** PEM texts. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Certificate {
  /** A certificate of this authority. `hosts` are DNS names and addresses; default localhost, 127.0.0.1 and ::1. */
  issue(
    name: string,
    options?: {
      readonly hosts?: readonly string[];
      readonly isExpired?: boolean;
      /** How long it is valid from now on, in whole seconds; default 30 days. */
      readonly lifetimeMs?: number;
    },
  ): Certificate;
}

const DEFAULT_HOSTS = ['localhost', '127.0.0.1', '::1'];
const DAY_MS = 86_400_000;
const DEFAULT_LIFETIME_MS = 30 * DAY_MS;

/** A self-signed authority with a key of its own. */
export function createAuthority(name: string): Authority {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { name, key: pair.privateKey };
  const own = certify({
    issuer,
    name,
    publicKey: pair.publicKey,
    isAuthority: true,
    hosts: [],
    lifetimeMs: DEFAULT_LIFETIME_MS,
  });
  return {
    cert: own,
    key: keyPem(pair.privateKey),
    issue: (subject, { hosts = DEFAULT_HOSTS, isExpired = false, lifetimeMs = DEFAULT_LIFETIME_MS } = {}) => {
      const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const wanted = {
        issuer,
        name: subject,
        publicKey: leaf.publicKey,
        isAuthority: false,
        hosts,
        lifetimeMs: isExpired ? -DAY_MS : lifetimeMs,
      };
      return { cert: certify(wanted), key: keyPem(leaf.privateKey) };
    },
  };
}

/** Writes `<name>.crt` and `<name>.key` and returns their paths. */
export function writeCertificate(directory: string, name: string, { cert, key }: Certificate): Certificate {
  const paths = { cert: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  writeFileSync(paths.cert, cert);
  writeFileSync(paths.key, key, { mode: 0o600 });
  return paths;
}

interface Wanted {
  readonly issuer: { readonly name: string; readonly key: KeyObject };
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly isAuthority: boolean;
  readonly hosts: readonly string[];
  readonly lifetimeMs: number;
}

/** RFC 5280 4.1: Certificate, signed with ECDSA and SHA-256. */
function certify(wanted: Wanted): string {
  const algorithm = sequence(objectId('1.2.840.10045.4.3.2'));
  const fromMs = Date.now() - 2 * DAY_MS;
  const untilMs = Date.now() + wanted.lifetimeMs;
  const content = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    distinguishedName(wanted.issuer.name),
    sequence(utcTime(fromMs), utcTime(untilMs)),
    distinguishedName(wanted.name),
    wanted.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions(wanted))),
  );
  const der = sequence(content, algorithm, bitString(sign('sha256', content, wanted.issuer.key)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function extensions({ isAuthority, hosts, publicKey }: Wanted): Buffer[] {
  const constraints = isAuthority ? sequence(tagged(0x01, Buffer.from([0xff]))) : sequence();
  // keyCertSign and cRLSign, or digitalSignature.
  const usage = isAuthority ? Buffer.from([1, 0x06]) : Buffer.from([7, 0x80]);
  const keyId = createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
  const names = hosts.map((host) =>
    isIP(host) === 0 ? tagged(0x82, Buffer.from(host)) : tagged(0x87, addressBytes(host)),
  );
  return [
    extension('2.5.29.19', constraints, true),
    extension('2.5.29.15', tagged(0x03, usage), true),
    extension('2.5.29.14', tagged(0x04, keyId), false),
    ...(names.length === 0 ? [] : [extension('2.5.29.17', sequence(...names), false)]),
  ];
}

function extension(id: string, value: Buffer, isCritical: boolean): Buffer {
  const critical = isCritical ? [tagged(0x01, Buffer.from([0xff]))] : [];
  return sequence(objectId(id), ...critical, tagged(0x04, value));
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const gap = Array<string>(8 - groups(head).length - groups(tail).length).fill('0');
  const all = [...groups(head), ...gap, ...groups(tail)];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function keyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function tagged(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const size = content.length;
  const bytes = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...bytes]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

function bitString(bytes: Buffer): Buffer {
  return tagged(0x03, Buffer.from([0]), bytes);
}

function utcTime(ms: number): Buffer {
  return tagged(0x17, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`));
}

function distinguishedName(name: string): Buffer {
  return sequence(tagged(0x31, sequence(objectId('2.5.4.3'), tagged(0x0c, Buffer.from(name)))));
}

function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = value >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
  return digits;
}
