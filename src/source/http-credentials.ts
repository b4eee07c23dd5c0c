// What an HTTP source is asked with: headers and TLS identity, read from the settings again for every request.
import { SidecarError, type Stage } from '../lib/errors.ts';
import type { TlsIdentity } from '../lib/http/http.ts';
import type { GivenSettings, ProviderOptions } from './provider.ts';
import { readTlsFiles } from './tls-files.ts';

type Setting = ProviderOptions['setting'];

export interface HttpCredentials {
  readonly username: string;
  readonly password: string;
}

/**
 * `HTTP_HEADERS`, and the `Authorization` that `HTTP_TOKEN`, `HTTP_USERNAME` with `HTTP_PASSWORD`, or what stands before
 * `@` in the URL make. Throws a SidecarError of the given stage when a line is no header or two of them are given.
 */
export function credentialHeaders(
  setting: Setting,
  { userinfo, stage }: { readonly userinfo: HttpCredentials | null; readonly stage: Stage },
): readonly (readonly [name: string, value: string])[] {
  const headers = parseHeaders(setting('HTTP_HEADERS') ?? '', stage);
  const token = setting('HTTP_TOKEN')?.trim() ?? '';
  const basic = basicCredentials(setting, userinfo);
  const ways = [
    ...(token === '' ? [] : ['HTTP_TOKEN']),
    ...(basic === null ? [] : [setting('HTTP_USERNAME') === undefined ? 'user in the URL' : 'HTTP_USERNAME']),
    ...(headers.some(([name]) => name.toLowerCase() === 'authorization')
      ? ['Authorization in HTTP_HEADERS']
      : []),
  ];
  if (ways.length > 1) throw unusable(stage, 'credentials', ways.join(', '), 'only one of them can be sent');
  if (token !== '') return [...headers, ['Authorization', `Bearer ${token}`]];
  return basic === null ? headers : [...headers, ['Authorization', basicHeader(basic)]];
}

export const HTTP_TLS = { ca: 'HTTP_CACERT', cert: 'HTTP_CERT', key: 'HTTP_KEY' } as const;

/** The files that `HTTP_CACERT`, `HTTP_CERT` and `HTTP_KEY` name, as they are now. Throws `source.tls`. */
export function readIdentity(setting: Setting): TlsIdentity {
  const { ca, cert, key } = readTlsFiles(HTTP_TLS, setting);
  return { ...(ca !== null && { ca }), ...(cert !== null && { cert }), ...(key !== null && { key }) };
}

/** Settings for logging in that do not go together. */
export function loginMistakes({ has, said }: GivenSettings): readonly string[] {
  if (has('HTTP_TOKEN') && has('HTTP_USERNAME')) {
    return [
      `Cannot use ${said('HTTP_TOKEN')} with ${said('HTTP_USERNAME')}: a request carries one of them; keep one`,
    ];
  }
  if (!has('HTTP_PASSWORD') || has('HTTP_USERNAME')) return [];
  return [`Cannot use ${said('HTTP_PASSWORD')} without HTTP_USERNAME: a password needs its user name`];
}

/** A setting beats its part of the URL. */
function basicCredentials(setting: Setting, userinfo: HttpCredentials | null): HttpCredentials | null {
  const username = setting('HTTP_USERNAME') ?? userinfo?.username;
  const password = setting('HTTP_PASSWORD') ?? userinfo?.password;
  return username === undefined ? null : { username, password: password ?? '' };
}

function basicHeader({ username, password }: HttpCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

const HEADER_LINE = /^([!#$%&'*+.^_`|~\dA-Za-z-]+):[ \t]*([^\0-\x08\x0a-\x1f\x7f]*)$/;

function parseHeaders(text: string, stage: Stage): readonly (readonly [name: string, value: string])[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  return lines.flatMap((line, index) => {
    if (line === '') return [];
    const [, name, value] = HEADER_LINE.exec(line) ?? [];
    if (name !== undefined && value !== undefined) return [[name, value] as const];
    throw unusable(stage, 'HTTP_HEADERS line', String(index + 1), 'it must read Name: value');
  });
}

function unusable(stage: Stage, thing: string, value: string, reason: string): SidecarError {
  const code = stage === 'settings' ? 'settings.source' : 'source.denied';
  return new SidecarError(`Cannot use ${thing} "${value}": ${reason}`, { code, stage });
}
