// RELOAD_CACERT, RELOAD_CERT, RELOAD_KEY and CONFIRM_HEADERS against servers with certificates of their own.
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { confirmSettingsOf } from '../../../src/application/confirm/confirm.ts';
import type { ReloadResult } from '../../../src/application/reload/hook.ts';
import { reload } from '../../../src/application/reload/reload.ts';
import { hookOf } from '../../../src/application/reload/settings.ts';
import type { Loaded } from '../../../src/settings/settings.ts';
import { confirmation, never, trialOf, verdictOn } from '../../support/application/confirm/trials.ts';
import { createSite, examine, type Site, withCode } from '../../support/check/examining.ts';
import type { Env } from '../../support/check/run-check.ts';
import { createAuthority } from '../../support/servers/certificates.ts';
import { portOf } from '../../support/servers/ports.ts';
import { loadSettings } from '../../support/settings/only-target.ts';

const servers = createAuthority('servers');
const clients = createAuthority('clients');
const other = createAuthority('other');

/** A server that asks for a certificate of `clients`, or for none. */
async function serve(
  asksForOne: boolean,
): Promise<{ readonly url: string; readonly seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const options = asksForOne ? { requestCert: true, rejectUnauthorized: true, ca: clients.cert } : {};
  const server = createServer({ ...servers.issue('localhost'), ...options }, (request, response) => {
    seen.push(request);
    response.end('revision 7');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `https://127.0.0.1:${portOf(server)}/x`, seen };
}

let site: Site;
let files: Record<'ca' | 'cert' | 'key' | 'otherKey' | 'otherCa', string>;
beforeEach(() => {
  site = createSite();
  const own = clients.issue('sidecar');
  files = {
    ca: site.write('ca.crt', servers.cert),
    otherCa: site.write('other-ca.crt', other.cert),
    cert: site.write('own.crt', own.cert),
    key: site.write('own.key', own.key, 0o600),
    otherKey: site.write('other.key', clients.issue('other').key, 0o600),
  };
});

const load = (env: Env): Promise<Loaded> =>
  loadSettings({ flags: [], env: { ...site.env, ...env }, cwd: '/' });

async function post(env: Env): Promise<ReloadResult> {
  const hook = hookOf(await load(env), {});
  if (hook === null) throw new Error('there is no hook');
  return await reload(hook, { process: null, output: '/o', revision: '7', previousRevision: null }, never());
}

describe('a server whose authority is not the system’s', () => {
  test('is asked once RELOAD_CACERT names it; without it, or with another, the setting is named', async () => {
    const { url, seen } = await serve(false);
    expect((await post({ RELOAD_URL: url, RELOAD_CACERT: files.ca })).kind).toBe('told');
    for (const env of [{}, { RELOAD_CACERT: files.otherCa }]) {
      expect(await post({ RELOAD_URL: url, ...env })).toMatchObject({
        class: 'misconfigured',
        code: 'http.tls',
        message: expect.stringMatching(
          /^Cannot POST "https:.*": the server's certificate is not accepted: no authority that is trusted here signed it \(\w+\); RELOAD_CACERT, RELOAD_CERT and RELOAD_KEY name the files for it$/,
        ),
      });
    }
    expect(seen).toHaveLength(1);
  });

  test('is checked by CONFIRM_URL with the same files, and gets CONFIRM_HEADERS', async () => {
    const { url, seen } = await serve(true);
    const token = site.write('headers', 'Authorization: Bearer abc\n');
    const env = { CONFIRM_URL: url, RELOAD_CACERT: files.ca, RELOAD_CERT: files.cert, RELOAD_KEY: files.key };
    const loaded = await load({ ...env, CONFIRM_HEADERS_FILE: token });
    const { result } = await verdictOn(confirmation(confirmSettingsOf(loaded)), trialOf(null));
    expect(result).toEqual({ kind: 'confirmed', evidence: ['probed'] });
    expect(seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer abc', 'Bearer abc']);
    const bare = confirmSettingsOf(
      await load({ CONFIRM_URL: url, CONFIRM_TIMEOUT: '1s', CONFIRM_PERIOD: '0' }),
    );
    expect((await verdictOn(confirmation(bare), trialOf(null))).result).toMatchObject({
      kind: 'unconfirmed',
      message: expect.stringContaining('; RELOAD_CACERT, RELOAD_CERT and RELOAD_KEY name the files for it'),
    });
  });
});

describe('a server that wants a certificate', () => {
  test('gets the one of RELOAD_CERT, read again at each use', async () => {
    const { url, seen } = await serve(true);
    const env = { RELOAD_URL: url, RELOAD_CACERT: files.ca };
    expect((await post({ ...env, RELOAD_CERT: files.cert, RELOAD_KEY: files.key })).kind).toBe('told');
    const hook = hookOf(await load({ ...env, RELOAD_CERT: files.cert, RELOAD_KEY: files.key }), {});
    site.write('own.key', other.key, 0o600);
    if (hook === null) throw new Error('there is no hook');
    const context = { process: null, output: '/o', revision: '7', previousRevision: null };
    expect(await reload(hook, context, never())).toEqual({
      kind: 'owed',
      class: 'misconfigured',
      code: 'reload.tls',
      message: `Cannot use RELOAD_KEY "${files.key}": the private key does not belong to the certificate of RELOAD_CERT "${files.cert}"`,
    });
    expect(seen).toHaveLength(1);
  });

  test('is found out by check, though it lets a connection come about first', async () => {
    const { url } = await serve(true);
    const env = { ...site.env, RELOAD_URL: url, RELOAD_CACERT: files.ca };
    const refused = withCode(await examine(env), 'http.tls');
    expect(refused.message).toContain('Cannot reach RELOAD_URL');
    expect(refused.mend).toBe(
      'Set RELOAD_CACERT to the authority that signed its certificate. If the certificate is for another name, use that name in the URL. If the server asks for a client certificate, set RELOAD_CERT and RELOAD_KEY.',
    );
    const whole = { ...env, RELOAD_CERT: files.cert, RELOAD_KEY: files.key };
    withCode(await examine(whole), 'hook.reachable');
    // A file that cannot be used, whichever URL it is for, is not mended by another certificate.
    const asked = { ...site.env, ...whole, RELOAD_KEY: files.otherKey };
    const { RELOAD_URL, ...unasked } = asked;
    for (const one of [asked, { ...unasked, CONFIRM_URL: url }])
      expect(withCode(await examine(one), 'reload.tls').mend).toBe(
        'Correct the file, or the setting that names it.',
      );
    withCode(await examine({ ...whole, CONFIRM_URL: url }), 'confirm.answers');
    withCode(await examine({ ...site.env, RELOAD_CACERT: files.otherCa, CONFIRM_URL: url }), 'http.tls');
  });
});

test.each([
  [
    { RELOAD_CERT: '/c', RELOAD_URL: 'https://h/' },
    'without RELOAD_KEY: a certificate and its key go together',
  ],
  [
    { RELOAD_KEY: '/k', RELOAD_URL: 'https://h/' },
    'without RELOAD_CERT: a certificate and its key go together',
  ],
  [{ RELOAD_CACERT: '/c', RELOAD_URL: 'http://h/' }, 'neither RELOAD_URL nor CONFIRM_URL is an https URL'],
  [{ CONFIRM_HEADERS: 'A: b', CONFIRM_URL: '' }, 'without CONFIRM_URL'],
] as const)('settings that do not go together are refused: %o', async (env, reason) => {
  await expect(load(env)).rejects.toThrow(reason);
});
