// The campaign against git: by its own daemon behind a proxy, with a history that is rewritten, a repository that goes away and
// a copy of ours that is damaged; and by HTTP, with everything that a server may answer instead.
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openGit } from '../../src/source/git/open.ts';
import { parseGitUrl } from '../../src/source/git/url.ts';
import type { Provider } from '../../src/source/provider.ts';
import { expectMostFaults, type Place, runCampaign, type ServerFault } from '../support/campaign/campaign.ts';
import { createGitStore, type GitStore } from '../support/campaign/git-store.ts';
import type { State } from '../support/campaign/history.ts';
import type { Change } from '../support/campaign/sequence.ts';
import { quietPort } from '../support/e2e/quiet-port.ts';
import { type GitDaemon, startGitDaemon, startGitHttp } from '../support/servers/git.ts';
import { startProxy } from '../support/servers/proxy.ts';
import { providerOptions } from '../support/source/provider-contract.ts';

/** How long a server is frozen, a branch or a repository away. */
const AWAY_MS = 250;
/** Each look at the repository costs several processes. */
const MANY = { concurrency: 4, largeBytes: 50_000, maxSteps: 12, slowness: 8, settleMs: 120_000 };
/** What names the branch, by turns. */
const REFS = ['?ref=main&path=/', '?path=/', '?ref=refs/heads/main&path=/'];

function follower(url: string, work: string): Provider {
  return openGit(
    url,
    parseGitUrl(url),
    providerOptions({
      updateFrequencyMs: 40,
      fetchTimeoutMs: 8_000,
      searchPath: process.env['PATH'],
      workDirectory: () => work,
    }),
  );
}

async function write(store: GitStore, changes: readonly Change[]): Promise<string> {
  const state = new Map(Object.entries(store.head().state));
  for (const { key, value } of changes) value === null ? state.delete(key) : state.set(key, value);
  return (await store.commit(Object.fromEntries(state))).commit;
}

/** Everything that can become of a repository, and of our copy of it. */
function repositoryFaults(store: GitStore, work: string): Readonly<Record<string, ServerFault>> {
  const becomes = (run: () => Promise<State>): ServerFault => ({
    keepsData: false,
    run: async () => [await run()],
  });
  let damages = 0;
  return {
    'force-push': becomes(async () => {
      const past = store.past();
      const to = past[past.length >> 1] ?? store.head();
      await store.reset(to);
      return to.state;
    }),
    rewrite: becomes(async () => (await store.commit(store.head().state, 'none')).state),
    'delete branch': becomes(async () => {
      await store.git(['update-ref', '-d', 'refs/heads/main']);
      await sleep(AWAY_MS);
      return (await store.commit({ a: `after ${store.past().length}` }, 'none')).state;
    }),
    away: becomes(async () => {
      store.away(true);
      await sleep(AWAY_MS);
      store.away(false);
      return store.head().state;
    }),
    'ambiguous name': becomes(async () => {
      await store.git(['update-ref', 'refs/tags/main', store.head().commit]);
      await sleep(AWAY_MS / 2);
      await store.git(['update-ref', '-d', 'refs/tags/main']);
      return store.head().state;
    }),
    'link out of the tree': becomes(async () => {
      const { state } = store.head();
      await store.commit({ ...state, bad: 'never seen' }, 'head', '/etc/passwd');
      await sleep(AWAY_MS / 2);
      return (await store.commit(state)).state;
    }),
    'clean-up': {
      keepsData: true,
      run: async () => {
        await store.cleanUp();
        return [];
      },
    },
    damage: {
      keepsData: true,
      run: async () => {
        damageOne(work, damages++);
        return [];
      },
    },
  };
}

/** Spoils one file of our copy, another one and in another way each time. */
function damageOne(work: string, at: number): void {
  const files = readdirSync(work, { recursive: true, encoding: 'utf8' })
    .map((name) => join(work, name))
    .sort();
  const victim = files[(at * 7 + 3) % Math.max(1, files.length)];
  if (victim === undefined) return;
  try {
    const isFile = statSync(victim).isFile();
    if (at % 4 === 0 || !isFile) rmSync(victim, { recursive: true });
    else if (at % 4 === 1) truncateSync(victim, statSync(victim).size >> 1);
    else if (at % 4 === 2) writeFileSync(victim, 'spoilt');
    else writeFileSync(`${victim}.lock`, '');
  } catch {
    // git is at work there: the file has gone, or may not be written.
  }
}

describe('git under generated writes and faults', () => {
  async function open(at: number): Promise<Place> {
    const store = await createGitStore();
    const work = mkdtempSync(join(tmpdir(), 'git-campaign-'));
    const port = await quietPort();
    let daemon: GitDaemon = await startGitDaemon(store.root, port);
    const proxy = await startProxy(port);
    const keeping = (run: () => Promise<void>): ServerFault => ({
      keepsData: true,
      run: () => run().then(() => []),
    });
    return {
      provider: follower(`git://127.0.0.1:${proxy.port}/app.git${REFS[at % REFS.length]}`, work),
      proxy,
      write: (changes) => write(store, changes),
      current: () => store.current(),
      serverFaults: {
        ...repositoryFaults(store, work),
        kill: keeping(async () => {
          await daemon.stop();
          daemon = await startGitDaemon(store.root, port);
        }),
        freeze: keeping(async () => {
          daemon.signal('SIGSTOP');
          await sleep(AWAY_MS);
          daemon.signal('SIGCONT');
        }),
      },
      close: async () => {
        await proxy.close();
        await daemon.stop();
        store.remove();
        rmSync(work, { recursive: true, force: true });
      },
    };
  }

  it('ends equal to the branch, under the commit as revision, and shows no state it never had', async () => {
    const report = await runCampaign({ name: 'git', open, sequences: 16, ...MANY });
    expect(report.snapshots).toBeGreaterThan(report.sequences);
  }, 300_000);

  it('does so over rewritten histories, a repository that goes away, and a copy that is damaged', async () => {
    const serverFaults = [
      'force-push',
      'rewrite',
      'delete branch',
      'away',
      'ambiguous name',
      'link out of the tree',
      'clean-up',
      'damage',
      'kill',
      'freeze',
    ];
    const report = await runCampaign({ name: 'git server', open, sequences: 24, serverFaults, ...MANY });
    expect(report.snapshots).toBeGreaterThan(report.sequences);
    expectMostFaults(report, serverFaults);
  }, 300_000);
});

type Answering = (request: IncomingMessage, response: ServerResponse) => void;

/** What a server, or what stands before it, may answer instead. */
const ANSWERS = {
  failing: (_request, response) => void response.writeHead(500).end(),
  busy: (_request, response) => void response.writeHead(503, { 'Retry-After': '1' }).end(),
  missing: (_request, response) => void response.writeHead(404).end('Not here'),
  denied: (_request, response) => void response.writeHead(403).end(),
  page: (_request, response) =>
    void response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!DOCTYPE html><p>Log in</p>'),
  elsewhere: (_request, response) => void response.writeHead(302, { Location: 'http://127.0.0.1:1/' }).end(),
  empty: (_request, response) => void response.writeHead(200).end(),
  'no refs': (_request, response) =>
    void response
      .writeHead(200, { 'Content-Type': 'application/x-git-upload-pack-advertisement' })
      .end('001e# service=git-upload-pack\n00000000'),
  'no HTTP': (request) => void request.socket.end('SSH-2.0-OpenSSH\r\n'),
  silent: (request) => void setTimeout(() => request.socket.destroy(), 300),
} satisfies Readonly<Record<string, Answering>>;

describe('git by HTTP under generated writes and faults', () => {
  async function open(at: number): Promise<Place> {
    const store = await createGitStore();
    const work = mkdtempSync(join(tmpdir(), 'git-campaign-'));
    let cutAfter: number | null = null;
    const server = await startGitHttp(store.root, { cutAfter: () => cutAfter });
    const proxy = await startProxy(server.port);
    const forAWhile = (begin: () => void, end: () => void): ServerFault => ({
      keepsData: true,
      run: async () => {
        const before = server.requests.length;
        begin();
        for (let waited = 0; server.requests.length === before && waited < 2_000; waited += 10)
          await sleep(10);
        end();
        return [];
      },
    });
    const answers = Object.entries<Answering>(ANSWERS).map(([name, answering]) => [
      name,
      forAWhile(
        () => {
          server.answer = answering;
        },
        () => {
          server.answer = null;
        },
      ),
    ]);
    return {
      provider: follower(`git+http://127.0.0.1:${proxy.port}/app.git${REFS[at % REFS.length]}`, work),
      proxy,
      write: (changes) => write(store, changes),
      current: () => store.current(),
      serverFaults: {
        ...Object.fromEntries(answers),
        'cut short': forAWhile(
          () => {
            cutAfter = (at * 37) % 400;
          },
          () => {
            cutAfter = null;
          },
        ),
        'force-push': repositoryFaults(store, work)['force-push'] as ServerFault,
      },
      close: async () => {
        await proxy.close();
        await server.stop();
        store.remove();
        rmSync(work, { recursive: true, force: true });
      },
    };
  }

  it('ends equal to the branch, whatever is answered in between', async () => {
    const serverFaults = [...Object.keys(ANSWERS), 'cut short', 'force-push'];
    const report = await runCampaign({ name: 'git by HTTP', open, sequences: 20, serverFaults, ...MANY });
    expect(report.snapshots).toBeGreaterThan(report.sequences);
    expectMostFaults(report, serverFaults);
  }, 300_000);
});
