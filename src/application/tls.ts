// The certificates for requests to the application, for both RELOAD_URL and CONFIRM_URL.
import { SidecarError } from '../lib/errors.ts';
import type { TlsIdentity } from '../lib/http/http.ts';
import type { Loaded } from '../settings/settings.ts';
import { readTlsFiles } from '../source/tls-files.ts';

const NAMES = { ca: 'RELOAD_CACERT', cert: 'RELOAD_CERT', key: 'RELOAD_KEY' } as const;

/** What a message about a certificate that is not accepted ends with. */
export const TLS_ADVICE = '; RELOAD_CACERT, RELOAD_CERT and RELOAD_KEY name the files for it';

/**
 * The files as they are now: they are read at every use, since certificates rotate.
 * @throws SidecarError `reload.tls` with the setting and the path of a file that cannot be used.
 */
export function identityOf({ settings }: Pick<Loaded, 'settings'>): TlsIdentity {
  try {
    const setting = (name: string): string | undefined => settings[name as (typeof NAMES)['ca']];
    const { ca, cert, key } = readTlsFiles(NAMES, setting);
    return { ...(ca !== null && { ca }), ...(cert !== null && { cert }), ...(key !== null && { key }) };
  } catch (thrown) {
    if (!(thrown instanceof SidecarError)) throw thrown;
    throw new SidecarError(thrown.message, { code: 'reload.tls', stage: 'reload', cause: thrown });
  }
}
