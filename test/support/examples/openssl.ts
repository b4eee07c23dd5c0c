// Certificates by the real openssl.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from './together.ts';

/** PEM texts. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface Issued extends Pair {
  /** As `getPeerCertificate()` gives it. */
  readonly serial: string;
}

export interface OpenSsl {
  /** The authority's certificate, for clients. */
  readonly ca: string;
  /** A new certificate with a key of its own. */
  readonly issue: (host: string, options?: { readonly days?: number }) => Issued;
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** An authority in this folder. */
export function openOpenSsl(folder: string): OpenSsl {
  const at = (name: string): string => join(folder, name);
  const authority = ['-keyout', at('ca.key'), '-out', at('ca.crt'), '-subj', '/CN=authority of a test'];
  must('openssl', ['req', '-x509', ...EC, ...authority, '-days', '2']);
  const issue: OpenSsl['issue'] = (host, { days = 2 } = {}) => {
    const names = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`];
    must('openssl', ['req', '-new', ...EC, '-keyout', at('leaf.key'), '-out', at('leaf.csr'), ...names]);
    const by = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-copy_extensions', 'copy'];
    must('openssl', [
      'x509',
      '-req',
      '-in',
      at('leaf.csr'),
      ...by,
      '-days',
      String(days),
      '-out',
      at('leaf.crt'),
    ]);
    const printed = must('openssl', ['x509', '-noout', '-serial', '-in', at('leaf.crt')]);
    const [, serial = ''] = /^serial=(\w+)/.exec(printed) ?? [];
    return { cert: readFileSync(at('leaf.crt'), 'utf8'), key: readFileSync(at('leaf.key'), 'utf8'), serial };
  };
  return { ca: readFileSync(at('ca.crt'), 'utf8'), issue };
}
