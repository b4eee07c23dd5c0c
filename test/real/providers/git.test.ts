// The git source against real servers: git's daemon, its HTTP backend with basic auth and TLS, a real sshd, and files.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { SidecarError } from '../../../src/lib/errors.ts';
import { openGit } from '../../../src/source/git/open.ts';
import { parseGitUrl } from '../../../src/source/git/url.ts';
import type { Content, Provider, ProviderOptions } from '../../../src/source/provider.ts';
import { createAuthority, writeCertificate } from '../../support/servers/certificates.ts';
import {
  createRepository,
  startGitDaemon,
  startGitHttp,
  startSshd,
  type TestRepository,
} from '../../support/servers/git.ts';
import { freePorts } from '../../support/servers/ports.ts';
import {
  describeProviderLaw,
  failureOf,
  follow,
  providerOptions,
  snapshotOf,
  textOf,
} from '../../support/source/provider-contract.ts';

type Settings = Readonly<Record<string, string>>;

function open(url: string, settings: Settings = {}, overrides: Partial<ProviderOptions> = {}): Provider {
  return openGit(
    url,
    parseGitUrl(url),
    providerOptions({
      updateFrequencyMs: 50,
      setting: (name) => settings[name],
      searchPath: process.env['PATH'],
      ...overrides,
    }),
  );
}

describeProviderLaw('git', async () => {
  const repository = createRepository();
  const server = await startGitHttp(repository.root, { credentials: 'user:pass-91c' });
  const [deadPort = 0] = await freePorts(1);
  const settings = { GIT_USERNAME: 'user', GIT_PASSWORD: 'pass-91c' };
  repository.commit({ 'app.txt': 'first' });
  const openAt = (port: number, overrides?: Partial<ProviderOptions>): Provider =>
    open(`git+http://user:other-7d@127.0.0.1:${port}/app.git?ref=main&path=app.txt`, settings, overrides);
  return {
    open: (overrides) => openAt(server.port, overrides),
    put: async (text) => void repository.commit({ 'app.txt': text }),
    empty: async () => void repository.commit({}),
    openUnreachable: (overrides) => openAt(deadPort, overrides),
    openAt,
    secrets: ['pass-91c', 'other-7d', Buffer.from('user:pass-91c').toString('base64')],
    stop: async () => {
      await server.stop();
      repository.remove();
    },
  };
});

let repository: TestRepository;
let home: string;
beforeEach(() => {
  repository = createRepository();
  home = mkdtempSync(join(tmpdir(), 'git-home-'));
  onTestFinished(() => {
    repository.remove();
    rmSync(home, { recursive: true, force: true });
  });
});

const atFile = (query = '?ref=main&path=web/'): string => `git+file://${repository.bare}${query}`;

async function read(url: string, settings: Settings = {}, overrides: Partial<ProviderOptions> = {}) {
  const follower = follow(open(url, settings, overrides));
  const snapshot = snapshotOf(await follower.next());
  await follower.stop();
  return snapshot;
}

async function expectFailure(provider: Provider, code: string, reason: string): Promise<SidecarError> {
  const error = await failureOf(provider);
  expect({ code: error.code, message: error.message }).toEqual({
    code,
    message: `Cannot read git repository "${provider.source}": ${reason}`,
  });
  return error;
}

function filesOf(content: Content): Record<string, string> {
  if (content.kind !== 'tree') return {};
  return Object.fromEntries(content.entries.map(({ key, value }) => [key, Buffer.from(value).toString()]));
}

describe('what is read', () => {
  it('is a tree of files below the path, under the commit as revision', async () => {
    const commit = repository.commit({
      'web/a.txt': 'A',
      'web/deep/b.txt': 'B',
      'web/.gitignore': '*.log',
      'other/c.txt': 'C',
    });
    const snapshot = await read(atFile());
    expect(snapshot.revision).toBe(commit);
    expect(filesOf(snapshot.content)).toEqual({ 'a.txt': 'A', 'deep/b.txt': 'B' });
  });

  it('is one document, with a pointer, when path has no slash at its end', async () => {
    repository.commit({ 'app.yaml': 'web:\n  port: 1\n' });
    expect((await read(atFile('?ref=main&path=app.yaml#/web'))).content).toMatchObject({
      kind: 'document',
      name: 'app.yaml',
      pointer: '/web',
    });
  });

  it('has names as git quotes them, bytes as they are, and no file of another branch', async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 0]);
    repository.commit({ 'web/ü "x"\tq': 'odd', 'web/bytes': bytes });
    repository.commit({ 'web/z': 'other' }, 'other');
    const { content } = await read(atFile());
    expect(new Set(Object.keys(filesOf(content)))).toEqual(new Set(['bytes', 'ü "x"\tq']));
    expect(content.kind === 'tree' && content.entries.find(({ key }) => key === 'bytes')?.value).toEqual(
      bytes,
    );
  });

  it('follows links inside of the repository, and refuses one that leads out', async () => {
    repository.commit({ 'shared/real': 'R', 'web/own': 'O' });
    const tree = join(repository.root, 'tree');
    symlinkSync('../shared/real', join(tree, 'web/link'));
    symlinkSync('../shared', join(tree, 'web/folder'));
    const save = (): void => {
      repository.git('add', '-A');
      repository.git('commit', '-qm', 'links');
      repository.git('push', '-q', 'origin', 'main');
    };
    save();
    expect(filesOf((await read(atFile())).content)).toEqual({ own: 'O', link: 'R', 'folder/real': 'R' });
    symlinkSync('/etc/passwd', join(tree, 'web/out'));
    save();
    await expectFailure(open(atFile()), 'source.bad-key', 'the link "web/out" leads out of the repository');
    repository.git('rm', '-q', 'web/out');
    symlinkSync('round', join(tree, 'web/round'));
    save();
    await expectFailure(open(atFile()), 'source.bad-key', 'the link "web/round" leads round and round');
  });

  it('is refused at once where links to folders of links stand for more files than anything can hold', async () => {
    repository.commit({ 'web/0/a': 'A', 'web/0/b': 'B', 'web/0/c': 'C', 'web/0/d': 'D' });
    const tree = join(repository.root, 'tree');
    for (let level = 1; level < 14; level += 1) {
      mkdirSync(join(tree, `web/${level}`));
      for (const name of ['a', 'b', 'c', 'd'])
        symlinkSync(`../${level - 1}`, join(tree, `web/${level}/${name}`));
    }
    repository.git('add', '-A');
    repository.git('commit', '-qm', 'links');
    repository.git('push', '-q', 'origin', 'main');
    await expectFailure(open(atFile()), 'source.too-large', 'there are more than 20000 files');
  });

  it('is refused where a submodule or a file in LFS is part of it', async () => {
    repository.commit({ 'web/a': 'A' });
    const hash = repository.git('rev-parse', 'HEAD');
    repository.git('update-index', '--add', '--cacheinfo', `160000,${hash},web/module`);
    repository.git('commit', '-qm', 'submodule');
    repository.git('push', '-q', 'origin', 'main');
    const reason = '"web/module" is a submodule, which is not followed; choose a path without it';
    await expectFailure(open(atFile()), 'source.bad-key', reason);
    repository.commit({ 'web/big': 'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n' });
    await expectFailure(open(atFile()), 'source.bad-key', '"big" is stored in LFS, which is not followed');
  });

  it('is refused where the path is of the other kind, and nothing where it is not there', async () => {
    repository.commit({ 'web/a': 'A' });
    await expectFailure(
      open(atFile('?ref=main&path=web')),
      'source.wrong-type',
      '"web" is a directory; end path with a slash for its files',
    );
    await expectFailure(
      open(atFile('?ref=main&path=web/a/')),
      'source.wrong-type',
      '"web/a" is a file; write path without a slash at its end',
    );
    expect((await read(atFile('?ref=main&path=none/'))).content).toEqual({ kind: 'nothing' });
  });

  it('can be 20,000 files', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, index) => [`web/${index % 100}/${index}`, `value ${index}`]),
    );
    repository.commit(files);
    const { content } = await read(atFile(), {}, { fetchTimeoutMs: 60_000 });
    expect(content.kind === 'tree' && content.entries.length).toBe(20_000);
    expect(filesOf(content)['99/19999']).toBe('value 19999');
  });
});

describe('a ref', () => {
  it('is a branch, a tag, an annotated tag, a full hash, a whole name, or HEAD', async () => {
    const first = repository.commit({ 'web/a': '1' });
    repository.git('tag', 'plain');
    repository.git('tag', '-am', 'note', 'annotated');
    repository.git('push', '-q', 'origin', 'plain', 'annotated');
    const second = repository.commit({ 'web/a': '2' });
    const revisions = async (ref: string): Promise<string> =>
      (await read(atFile(`?path=web/${ref === '' ? '' : `&ref=${ref}`}`))).revision;
    expect(await revisions('')).toBe(second);
    expect(await revisions('main')).toBe(second);
    expect(await revisions('refs/heads/main')).toBe(second);
    expect(await revisions('plain')).toBe(first);
    expect(await revisions('annotated')).toBe(first);
    expect(await revisions(first)).toBe(first);
  });

  it('that is a branch and a tag is refused, and one that is not there is an outage', async () => {
    repository.commit({ 'web/a': '1' });
    repository.git('tag', 'main2');
    repository.git('branch', 'main2');
    repository.git('push', '-q', 'origin', 'refs/heads/main2', 'refs/tags/main2');
    await expectFailure(
      open(atFile('?ref=main2&path=web/')),
      'source.ambiguous',
      '"main2" is a branch and a tag; write ref=refs/heads/main2 or ref=refs/tags/main2',
    );
    await expectFailure(
      open(atFile('?ref=none&path=web/')),
      'source.not-found',
      'the repository has no branch or tag "none"',
    );
  });

  it('is followed over a force-push, and over a branch that is deleted and made again', async () => {
    repository.commit({ 'web/a': '1' });
    repository.commit({ 'web/a': '2' });
    const provider = open(atFile());
    const follower = follow(provider);
    await follower.next();
    repository.git('reset', '-q', '--hard', 'HEAD~1');
    repository.git('commit', '-q', '--amend', '-m', 'rewritten');
    repository.git('push', '-qf', 'origin', 'main');
    await follower.until((content) => filesOf(content)['a'] === '1');
    await follower.stop();
    execFileSync('git', ['-C', repository.bare, 'update-ref', '-d', 'refs/heads/main']);
    await expectFailure(provider, 'source.not-found', 'the repository has no branch or tag "main"');
    repository.commit({ 'web/a': '3' });
    expect(filesOf((await read(atFile())).content)).toEqual({ a: '3' });
  });
});

describe('a server', () => {
  it('by git:// is followed, and is asked once per interval while nothing changes', async () => {
    const commit = repository.commit({ 'web/a': '1' });
    const [port = 0] = await freePorts(1);
    const daemon = await startGitDaemon(repository.root, port);
    onTestFinished(daemon.stop);
    expect((await read(`git://127.0.0.1:${port}/app.git?path=web/`)).revision).toBe(commit);
  });

  it('by HTTP: an unchanged source costs one request per interval, a new commit one fetch', async () => {
    repository.commit({ 'web/a': '1' });
    const server = await startGitHttp(repository.root);
    onTestFinished(server.stop);
    const follower = follow(open(`git+http://127.0.0.1:${server.port}/app.git?path=web/`));
    await follower.next();
    const before = server.requests.length;
    for (let count = 0; count < 3; count++) expect(await follower.next()).toEqual({ kind: 'same' });
    const asked = server.requests.slice(before);
    expect(asked.filter((url) => url.includes('info/refs')).length).toBeLessThanOrEqual(4);
    // ls-remote is two requests of protocol 2: capabilities, then the refs.
    expect(asked.length).toBeLessThanOrEqual(8);
    repository.commit({ 'web/a': '2' });
    await follower.until((content) => filesOf(content)['a'] === '2');
    await follower.stop();
  });

  it('by HTTPS with basic auth: a wrong password and an unknown CA name their settings', async () => {
    const commit = repository.commit({ 'web/a': '1' });
    const authority = createAuthority('git tests');
    const { cert, key } = authority.issue('git');
    const caPath = writeCertificate(home, 'ca', authority).cert;
    const server = await startGitHttp(repository.root, { credentials: 'me:right-3', tls: { cert, key } });
    onTestFinished(server.stop);
    const url = `git+https://127.0.0.1:${server.port}/app.git?path=web/`;
    const settings = { GIT_USERNAME: 'me', GIT_PASSWORD: 'right-3', GIT_SSL_CAINFO: caPath };
    expect((await read(url, settings)).revision).toBe(commit);
    await expectFailure(
      open(url, { ...settings, GIT_PASSWORD: 'wrong-5' }),
      'source.denied',
      'the server wants credentials; set GIT_USERNAME and GIT_PASSWORD',
    );
    await expectFailure(
      open(url, { GIT_USERNAME: 'me', GIT_PASSWORD: 'right-3' }),
      'source.tls',
      'the certificate of the server is not trusted; set GIT_SSL_CAINFO to the CA that signed it',
    );
  });

  it('that redirects is not followed: credentials stay with the host they are for', async () => {
    const server = await startGitHttp(repository.root, { credentials: 'me:x' });
    onTestFinished(server.stop);
    const other = await startGitHttp(repository.root);
    onTestFinished(other.stop);
    server.answer = (_request, response) => {
      response.writeHead(302, { Location: `http://127.0.0.1:${other.port}/app.git/info/refs` }).end();
    };
    await expectFailure(
      open(`git+http://127.0.0.1:${server.port}/app.git?path=web/`, {
        GIT_USERNAME: 'me',
        GIT_PASSWORD: 'x',
      }),
      'source.redirected',
      'the server redirects; use the final URL',
    );
    expect(other.requests).toEqual([]);
  });

  it('that cuts a fetch at every tenth of its bytes leaves the last state, and the next contact succeeds', async () => {
    // Random bytes stay as many when they are packed; and so many files are fetched as one pack.
    const few = Array.from({ length: 120 }, (_, index) => [`web/${index}`, String(index)] as const);
    const files = (size: number) => ({ ...Object.fromEntries(few), 'web/a': randomBytes(size) });
    repository.commit(files(30_000));
    let tenths: number | null = null;
    const [fetched, cuts]: [number[], number[]] = [[], []];
    const server = await startGitHttp(repository.root, {
      cutAfter: (bytes) => {
        // The refs are a few hundred bytes.
        if (bytes < 30_000) return null;
        fetched.push(bytes);
        if (tenths === null) return null;
        cuts.push(tenths);
        return Math.floor((bytes * tenths) / 10);
      },
    });
    onTestFinished(server.stop);
    const url = `git+http://127.0.0.1:${server.port}/app.git?path=web/`;
    const provider = open(url, {}, { workDirectory: () => home });
    const seen = async (): Promise<string> => {
      const follower = follow(provider);
      const answer = await follower.next().then(
        (observation) => snapshotOf(observation).revision,
        (thrown: SidecarError) => thrown.code,
      );
      follower.abort();
      return answer;
    };
    const unfinished = (): readonly string[] =>
      readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('/tmp_'));
    for (tenths = 0; tenths < 10; tenths++) {
      expect(await seen()).toBe('source.disconnected');
      expect(unfinished()).toEqual([]);
    }
    expect(new Set(cuts)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    tenths = null;
    expect(await seen()).toBe(repository.git('rev-parse', 'HEAD'));
    // What follows is fetched onto what is there.
    const commit = repository.commit(files(40_000));
    tenths = 9;
    expect(await seen()).toBe('source.disconnected');
    tenths = null;
    expect(await seen()).toBe(commit);
  });

  it('by SSH: key and host key are checked, and nothing is asked', async () => {
    const commit = repository.commit({ 'web/a': '1' });
    const [port = 0] = await freePorts(1);
    const ssh = await startSshd(repository.root, port);
    onTestFinished(ssh.stop);
    const user = process.getuid?.() === 0 ? 'root' : (process.env['USER'] ?? '');
    const url = `git+ssh://${user}@127.0.0.1:${port}${repository.bare}?path=web/`;
    const settings = { GIT_SSH_KEY: ssh.key, GIT_KNOWN_HOSTS: ssh.knownHosts };
    expect((await read(url, settings, { workDirectory: () => home })).revision).toBe(commit);
    const wrongHosts = join(home, 'wrong');
    writeFileSync(wrongHosts, '');
    await expectFailure(
      open(url, { ...settings, GIT_KNOWN_HOSTS: wrongHosts }),
      'source.host-key',
      'the host key is not the one in GIT_KNOWN_HOSTS; check the host, or add its key there',
    );
    await expectFailure(
      open(url, { GIT_KNOWN_HOSTS: ssh.knownHosts }),
      'source.denied',
      'the server refuses the key; check GIT_SSH_KEY and the user in the URL',
    );
    const locked = join(home, 'locked');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', locked]);
    for (const key of ['no key', readFileSync(locked, 'utf8')]) {
      await expectFailure(
        open(url, { ...settings, GIT_SSH_KEY: key }),
        'source.denied',
        'the server refuses the key; check GIT_SSH_KEY and the user in the URL',
      );
    }
    await expectFailure(
      open(url, { GIT_SSH_KEY: ssh.key }),
      'source.host-key',
      'GIT_KNOWN_HOSTS is not set; it names the file with the host keys that are trusted',
    );
  });
});

describe('the local repository', () => {
  it('is kept between watches, and made again when it is damaged', async () => {
    const commit = repository.commit({ 'web/a': '1' });
    const provider = open(atFile(), {}, { workDirectory: () => home });
    const seen = async (): Promise<string> => {
      const follower = follow(provider);
      const { revision } = snapshotOf(await follower.next());
      await follower.stop();
      return revision;
    };
    expect(await seen()).toBe(commit);
    const [name = ''] = readdirSync(home);
    const local = join(home, name);
    const damages: (() => void)[] = [
      () => writeFileSync(join(local, 'HEAD'), 'nonsense'),
      () => rmSync(join(local, 'objects'), { recursive: true }),
      () => {
        for (const file of execFileSync('find', [join(local, 'objects'), '-type', 'f'], { encoding: 'utf8' })
          .trim()
          .split('\n')) {
          chmodSync(file, 0o600);
          writeFileSync(file, 'x');
        }
      },
      () => writeFileSync(join(local, 'shallow.lock'), ''),
      () => writeFileSync(join(local, 'config'), '[broken'),
    ];
    for (const damage of damages) {
      damage();
      expect(await seen()).toBe(commit);
    }
  });

  it('runs no hook and takes no configuration of the machine or the repository', async () => {
    repository.commit({ 'web/a': '1' });
    const proof = join(home, 'proof');
    const hook = `#!/bin/sh\ntouch '${proof}'\n`;
    for (const name of ['post-checkout', 'post-merge', 'reference-transaction']) {
      const path = join(repository.bare, 'hooks', name);
      execFileSync('mkdir', ['-p', join(repository.bare, 'hooks')]);
      writeFileSync(path, hook, { mode: 0o755 });
    }
    expect(filesOf((await read(atFile())).content)).toEqual({ a: '1' });
    expect(existsSync(proof)).toBe(false);
  });

  it('goes with the watch when there is no directory for it', async () => {
    repository.commit({ 'web/a': '1' });
    const before = readdirSync(tmpdir()).filter((name) => name.startsWith('config-sidecar-git-'));
    await read(atFile());
    const after = readdirSync(tmpdir()).filter((name) => name.startsWith('config-sidecar-git-'));
    expect(after.filter((name) => !before.includes(name))).toEqual([]);
  });
});

describe('with GIT_ALLOWED_SIGNERS', () => {
  let keys: string;
  beforeAll(() => {
    keys = mkdtempSync(join(tmpdir(), 'git-keys-'));
    for (const name of ['known', 'unknown']) {
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(keys, name)]);
    }
    const known = execFileSync('cat', [join(keys, 'known.pub')], { encoding: 'utf8' });
    writeFileSync(join(keys, 'signers'), `test@example.com namespaces="git" ${known}`);
    writeFileSync(
      join(keys, 'expired'),
      `test@example.com namespaces="git",valid-before="20200101" ${known}`,
    );
  });
  afterAll(() => rmSync(keys, { recursive: true, force: true }));

  const sign = (key: string | null, text: string): string => {
    const words = key === null ? [] : ['-c', 'gpg.format=ssh', '-c', `user.signingkey=${join(keys, key)}`];
    writeFileSync(join(repository.root, 'tree/web/a'), text);
    repository.git('add', '-A');
    repository.git(...words, 'commit', '-q', ...(key === null ? [] : ['-S']), '-m', text);
    repository.git('push', '-q', 'origin', 'main');
    return repository.git('rev-parse', 'HEAD');
  };

  it('a commit counts only when a known key has signed it', async () => {
    repository.commit({ 'web/a': '0' });
    const settings = { GIT_ALLOWED_SIGNERS: join(keys, 'signers') };
    const refused = (commit: string): Promise<SidecarError> =>
      expectFailure(
        open(atFile(), settings),
        'source.unverified',
        `the commit ${commit.slice(0, 12)} is not signed by one of GIT_ALLOWED_SIGNERS`,
      );
    const good = sign('known', 'good');
    expect((await read(atFile(), settings)).revision).toBe(good);
    await refused(sign('unknown', 'unknown'));
    await refused(sign(null, 'none'));
    sign('known', 'again');
    repository.git('commit', '-q', '--amend', '-m', 'stripped');
    repository.git('push', '-qf', 'origin', 'main');
    await refused(repository.git('rev-parse', 'HEAD'));
    const last = sign('known', 'last');
    expect(textOf((await read(atFile(), settings)).content)).toBe('last');
    await expectFailure(
      open(atFile(), { GIT_ALLOWED_SIGNERS: join(keys, 'expired') }),
      'source.unverified',
      `the commit ${last.slice(0, 12)} is not signed by one of GIT_ALLOWED_SIGNERS`,
    );
  });

  it('the last verified state stays while a watch meets an unverified one', async () => {
    repository.commit({ 'web/a': '0' });
    const good = sign('known', 'good');
    const follower = follow(open(atFile(), { GIT_ALLOWED_SIGNERS: join(keys, 'signers') }));
    expect(snapshotOf(await follower.next()).revision).toBe(good);
    sign('unknown', 'bad');
    await expect(follower.rest()).rejects.toMatchObject({ code: 'source.unverified' });
  });
});
