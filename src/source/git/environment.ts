// What git may see and use: our credentials for one server, and nothing of the machine's own configuration.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProviderOptions } from '../provider.ts';
import { GitFailure } from './failure.ts';
import type { GitEnvironment } from './run.ts';
import type { GitPlace } from './url.ts';

/**
 * The environment of one contact. Secrets are read now, so that rotation works.
 * `home` gives a private directory for what ssh wants as files; it is asked for only then.
 */
export function gitEnvironment(
  { transport, remote, credentials }: GitPlace,
  { setting, proxyEnv, searchPath }: Pick<ProviderOptions, 'setting' | 'proxyEnv' | 'searchPath'>,
  home: () => string,
): GitEnvironment {
  const config: Record<string, string> = {
    'credential.helper': '',
    'core.hooksPath': '/dev/null',
    'core.fsmonitor': 'false',
    'core.askPass': '',
    'gc.auto': '0',
    'http.followRedirects': 'false',
    'protocol.allow': 'never',
    [`protocol.${transport}.allow`]: 'always',
    // Only ssh signatures count: no keyring of the machine can make another kind good.
    'gpg.program': 'false',
    'gpg.x509.program': 'false',
  };
  if (transport === 'file') config['safe.directory'] = '*';
  if (transport === 'https' || transport === 'http') {
    const header = authorization(credentials, setting);
    if (header !== null) config[`http.${new URL(remote).origin}/.extraHeader`] = header;
  }
  const signers = setting('GIT_ALLOWED_SIGNERS');
  if (signers !== undefined) config['gpg.ssh.allowedSignersFile'] = signers;
  const authorities = setting('GIT_SSL_CAINFO');
  if (authorities !== undefined) config['http.sslCAInfo'] = authorities;
  return {
    PATH: searchPath ?? '/usr/local/bin:/usr/bin:/bin',
    // Nothing of it is read.
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    SSH_ASKPASS_REQUIRE: 'never',
    ...definedOnly(proxyEnv),
    ...configVariables(config),
    ...(transport === 'ssh' && { GIT_SSH_COMMAND: sshCommand(setting, home()), GIT_SSH_VARIANT: 'ssh' }),
  };
}

function authorization(
  { username, password }: GitPlace['credentials'],
  setting: ProviderOptions['setting'],
): string | null {
  const user = setting('GIT_USERNAME') ?? username;
  const secret = setting('GIT_PASSWORD') ?? password;
  if (user === '' && secret === '') return null;
  return `Authorization: Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
}

/** Configuration by the environment: it is not in the process list, and beats every file. */
function configVariables(config: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(config);
  return Object.fromEntries([
    ['GIT_CONFIG_COUNT', String(entries.length)],
    ...entries.flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, key],
      [`GIT_CONFIG_VALUE_${index}`, value],
    ]),
  ]);
}

/** ssh without a configuration file, an agent or a question; it takes keys from private files only. */
function sshCommand(setting: ProviderOptions['setting'], home: string): string {
  const hosts = setting('GIT_KNOWN_HOSTS');
  if (hosts === undefined) {
    const reason = 'GIT_KNOWN_HOSTS is not set; it names the file with the host keys that are trusted';
    throw new GitFailure('source.host-key', reason);
  }
  const key = setting('GIT_SSH_KEY');
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile="${copy(home, 'known_hosts', readHosts(hosts))}"`,
    'GlobalKnownHostsFile=/dev/null',
    'IdentitiesOnly=yes',
    'IdentityAgent=none',
    'ConnectTimeout=10',
    'ServerAliveInterval=5',
    'ServerAliveCountMax=3',
    // Without a key of ours ssh must not try those of the user it runs as.
    `IdentityFile="${key === undefined ? '/dev/null' : copy(home, 'key', `${key.trimEnd()}\n`)}"`,
  ];
  return ['ssh', '-F', '/dev/null', ...options.flatMap((option) => ['-o', quoted(option)])].join(' ');
}

function readHosts(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new GitFailure('source.host-key', `GIT_KNOWN_HOSTS ("${path}") cannot be read`, { cause: thrown });
  }
}

function copy(home: string, name: string, text: string): string {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const path = join(home, name);
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600);
  return path;
}

/** git hands GIT_SSH_COMMAND to a shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function definedOnly(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
