// The PEM files a store's own settings name (`ETCDCTL_CACERT`, `CONSUL_CLIENT_KEY`), read again at each use.
import { readFileSync } from 'node:fs';
import { errnoOf, SidecarError } from '../lib/errors.ts';

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

/** Why these settings cannot work together, or null. */
export function tlsSettingsProblem(names: TlsSettingNames, tls: boolean, setting: Setting): string | null {
  const has = (name: string): boolean => setting(name) !== undefined;
  if (has(names.cert) !== has(names.key)) {
    const [given, missing] = has(names.cert) ? [names.cert, names.key] : [names.key, names.cert];
    return `${given} is given without ${missing}`;
  }
  const given = [names.ca, names.cert].find(has);
  return !tls && given !== undefined
    ? `${given} is given, but the URL asks for no TLS; use the scheme with an "s"`
    : null;
}

/** Reads the files. Throws `source.tls` naming the setting and the path of one that cannot be read. */
export function readTlsFiles(names: TlsSettingNames, setting: Setting): TlsFiles {
  const read = (name: string): Buffer | null => {
    const path = setting(name);
    if (path === undefined) return null;
    try {
      return readFileSync(path);
    } catch (thrown) {
      const message = `Cannot read ${name} "${path}": ${errnoOf(thrown) ?? String(thrown)}`;
      throw new SidecarError(message, { code: 'source.tls', stage: 'source', cause: thrown });
    }
  };
  return { ca: read(names.ca), cert: read(names.cert), key: read(names.key) };
}
