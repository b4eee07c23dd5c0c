// What the Kubernetes source does, as a suite for two servers: a real API server, and the scripted one.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { SidecarError } from '../../../src/lib/errors.ts';
import { openKubernetes } from '../../../src/source/kubernetes/open.ts';
import { parseKubernetesUrl } from '../../../src/source/kubernetes/url.ts';
import type { Content, Provider, ProviderOptions } from '../../../src/source/provider.ts';
import { type Access, kubeconfig } from '../servers/kubeconfig.ts';
import type { KubernetesServer } from '../servers/kubernetes.ts';
import { type KubernetesFront, startKubernetesFront } from '../servers/kubernetes-front.ts';
import { freePorts } from '../servers/ports.ts';
import { startProxy } from '../servers/proxy.ts';
import { failureOf, follow, type ProviderHarness, providerOptions, snapshotOf } from './provider-contract.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const SECRETS = '/api/v1/namespaces/default/secrets';

/** A harness for the provider law around a server of its own. */
export async function kubernetesHarness(start: () => Promise<KubernetesServer>): Promise<ProviderHarness> {
  const server = await start();
  const folder = mkdtempSync(join(tmpdir(), 'kubernetes-'));
  const [deadPort = 0] = await freePorts(1);
  const url = 'k8s://configmap/law#/app.txt';
  const openAt = (port: number, overrides?: Partial<ProviderOptions>): Provider => {
    const path = join(folder, String(port));
    writeFileSync(path, kubeconfig({ port, ca: server.ca, user: { token: server.token } }));
    const setting = (key: string): string | undefined => (key === 'KUBECONFIG' ? path : undefined);
    return openKubernetes(url, parseKubernetesUrl(url), providerOptions({ setting, ...overrides }));
  };
  return {
    open: (overrides) => openAt(server.port, overrides),
    put: async (text) => {
      const whole = { metadata: { name: 'law' }, data: { 'app.txt': text } };
      const { status } = await server.ask('PUT', `${CONFIG_MAPS}/law`, whole);
      if (status === 404) await server.ask('POST', CONFIG_MAPS, whole);
    },
    empty: async () => void (await server.ask('DELETE', `${CONFIG_MAPS}/law`)),
    openUnreachable: (overrides) => openAt(deadPort, overrides),
    openAt,
    secrets: [server.token],
    // Lists are at least 10 s apart.
    sameWithinMs: 15_000,
    stop: async () => {
      await server.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs the cases. `start` gives a server of its own each time. */
export function describeKubernetes(name: string, start: () => Promise<KubernetesServer>): void {
  let server: KubernetesServer;
  let folder: string;
  let files = 0;
  beforeAll(async () => {
    server = await start();
    folder = mkdtempSync(join(tmpdir(), 'kubernetes-'));
  });
  afterAll(async () => {
    await server.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const write = (text: string): string => {
    const path = join(folder, `kubeconfig-${files++}`);
    writeFileSync(path, text);
    return path;
  };
  const open = (
    url: string,
    access: Partial<Access> = {},
    overrides: Partial<ProviderOptions> = {},
  ): Provider => {
    const user = { token: server.token };
    const path = write(kubeconfig({ port: server.port, ca: server.ca, user, ...access }));
    const setting = (key: string): string | undefined => (key === 'KUBECONFIG' ? path : undefined);
    return openKubernetes(url, parseKubernetesUrl(url), providerOptions({ setting, ...overrides }));
  };
  /** Makes an object hold exactly this; null deletes it. */
  const put = async (path: string, object: object | null, labels?: object): Promise<void> => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (object === null) return expectStatus(await server.ask('DELETE', path), [200, 404]);
    const whole = { metadata: { name, ...(labels && { labels }) }, ...object };
    const replaced = await server.ask('PUT', path, whole);
    if (replaced.status === 404)
      expectStatus(await server.ask('POST', path.slice(0, path.lastIndexOf('/')), whole), [201]);
    else expectStatus(replaced, [200]);
  };

  describe(`${name}: what is read`, () => {
    it('is a tree of the keys of a ConfigMap, text and bytes, under its version', async () => {
      await put(`${CONFIG_MAPS}/web`, {
        data: { 'app.yaml': 'a: ü\n', b: '' },
        binaryData: { bytes: 'AAH/' },
      });
      const { revision, content } = await read(open('k8s://configmap/web'));
      expect(filesOf(content)).toEqual({ 'app.yaml': 'a: ü\n', b: '', bytes: '\0\x01\ufffd' });
      expect(content.kind === 'tree' && content.entries.find(({ key }) => key === 'bytes')?.value).toEqual(
        Buffer.from([0, 1, 255]),
      );
      const { body } = await server.ask('GET', `${CONFIG_MAPS}/web`);
      expect(revision).toBe((body as { metadata: { resourceVersion: string } }).metadata.resourceVersion);
    });

    it('is a Secret, decoded', async () => {
      await put(`${SECRETS}/login`, { data: { password: 'czNjcmV0' } });
      expect(filesOf((await read(open('k8s://secret/login'))).content)).toEqual({ password: 's3cret' });
    });

    it('is one key as a document, and a part of it', async () => {
      await put(`${CONFIG_MAPS}/doc`, { data: { 'app.yaml': 'web: {port: 1}\n' } });
      const document = { kind: 'document', name: 'app.yaml', contentType: null };
      expect((await read(open('k8s://configmap/doc#/app.yaml'))).content).toMatchObject({
        ...document,
        pointer: null,
      });
      expect((await read(open('k8s://configmap/doc#/app.yaml/web/port'))).content).toMatchObject({
        ...document,
        pointer: '/web/port',
      });
      expect((await read(open('k8s://configmap/doc#/other'))).content).toEqual({ kind: 'nothing' });
    });

    it('is what a selector finds, merged in the order of names', async () => {
      const labels = { app: 'merged' };
      await put(`${CONFIG_MAPS}/m-2`, { data: { a: 'second', c: 'C' } }, labels);
      await put(`${CONFIG_MAPS}/m-1`, { data: { a: 'first', b: 'B' } }, labels);
      await put(`${CONFIG_MAPS}/m-3`, { data: { a: 'other' } }, { app: 'other' });
      const follower = follow(open('k8s://configmaps?selector=app%3Dmerged'));
      expect(filesOf(snapshotOf(await follower.next()).content)).toEqual({ a: 'second', b: 'B', c: 'C' });
      await put(`${CONFIG_MAPS}/m-3`, { data: { a: 'third' } }, labels);
      await follower.until((content) => filesOf(content)['a'] === 'third');
      await put(`${CONFIG_MAPS}/m-3`, { data: { a: 'third' } }, { app: 'other' });
      await follower.until((content) => filesOf(content)['a'] === 'second');
      await put(`${CONFIG_MAPS}/m-2`, null);
      const last = await follower.until((content) => filesOf(content)['a'] === 'first');
      expect(filesOf(last.content)).toEqual({ a: 'first', b: 'B' });
      await follower.stop();
    });

    it('is found in the namespace of the URL, else in that of the context', async () => {
      await server.ask('POST', '/api/v1/namespaces', { metadata: { name: 'prod' } });
      await server.ask('POST', '/api/v1/namespaces/prod/configmaps', {
        metadata: { name: 'here' },
        data: { a: 'P' },
      });
      expect(filesOf((await read(open('k8s://configmap/here?namespace=prod'))).content)).toEqual({ a: 'P' });
      expect(filesOf((await read(open('k8s://configmap/here', { namespace: 'prod' }))).content)).toEqual({
        a: 'P',
      });
    });

    it('is an object of almost 1 MiB, and one whose keys are all there again after it was replaced', async () => {
      const big = 'x'.repeat(1_000_000);
      await put(`${CONFIG_MAPS}/big`, { data: { big } });
      const follower = follow(open('k8s://configmap/big'));
      expect(filesOf(snapshotOf(await follower.next()).content)['big']).toHaveLength(big.length);
      await put(`${CONFIG_MAPS}/big`, { data: { big: `${big}y` } });
      await follower.until((content) => filesOf(content)['big'] === `${big}y`);
      await follower.stop();
    });

    it('is nothing when the object has no keys, and something when they come', async () => {
      await put(`${CONFIG_MAPS}/bare`, {});
      const follower = follow(open('k8s://configmap/bare'));
      expect(snapshotOf(await follower.next()).content).toEqual({ kind: 'nothing' });
      await put(`${CONFIG_MAPS}/bare`, { data: { a: 'A' } });
      await follower.until((content) => filesOf(content)['a'] === 'A');
      await follower.stop();
    });
  });

  describe(`${name}: what is followed`, () => {
    it('is an immutable object that is replaced', async () => {
      await put(`${CONFIG_MAPS}/fixed`, { data: { a: '1' }, immutable: true });
      const follower = follow(open('k8s://configmap/fixed'));
      await follower.next();
      expect((await server.ask('PATCH', `${CONFIG_MAPS}/fixed`, { data: { a: '2' } })).status).toBe(422);
      await put(`${CONFIG_MAPS}/fixed`, null);
      await put(`${CONFIG_MAPS}/fixed`, { data: { a: '2' }, immutable: true });
      await follower.until((content) => filesOf(content)['a'] === '2');
      await follower.stop();
    });

    it('is the data alone: an annotation is contact and no change', async () => {
      await put(`${CONFIG_MAPS}/noted`, { data: { a: '1' } });
      const follower = follow(open('k8s://configmap/noted'), 8_000);
      await follower.next();
      await server.ask('PATCH', `${CONFIG_MAPS}/noted`, { metadata: { annotations: { note: 'x' } } });
      expect(await follower.next()).toEqual({ kind: 'same' });
      await follower.stop();
    });

    it('is a watch that begins where the list was read, by the name of the object', async () => {
      const { front, openAtFront } = await withFront();
      await put(`${CONFIG_MAPS}/named`, { data: { a: '1' } });
      const follower = follow(openAtFront('k8s://configmap/named'));
      await follower.next();
      await put(`${CONFIG_MAPS}/named`, { data: { a: '2' } });
      await follower.nextSnapshot();
      const [list = '', watch = '', ...more] = front.paths;
      expect(list).toBe(`${CONFIG_MAPS}?fieldSelector=metadata.name%3Dnamed&limit=500`);
      expect(watch).toMatch(
        /fieldSelector=metadata.name%3Dnamed&watch=true&allowWatchBookmarks=true&resourceVersion=\d+/,
      );
      expect(more).toEqual([]);
      await follower.stop();
    });
  });

  describe(`${name}: a watch`, () => {
    it('goes on at the version of the last bookmark', async () => {
      await put(`${CONFIG_MAPS}/marked`, { data: { a: '1' } });
      const { front, openAtFront } = await withFront();
      let version = '';
      let watches = 0;
      front.rule = (path) => {
        if (!isWatch(path) || watches++ > 0) return null;
        const object = { kind: 'ConfigMap', metadata: { resourceVersion: version } };
        return { status: 200, body: `${JSON.stringify({ type: 'BOOKMARK', object })}\n` };
      };
      const follower = follow(openAtFront('k8s://configmap/marked'));
      await follower.next();
      // The store has moved on by what this source does not see.
      await put(`${CONFIG_MAPS}/unseen`, { data: { a: String(Math.random()) } });
      const { body } = await server.ask('GET', `${CONFIG_MAPS}/unseen`);
      version = (body as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
      expect(await follower.next()).toEqual({ kind: 'same' });
      await put(`${CONFIG_MAPS}/marked`, { data: { a: '2' } });
      await follower.until((content) => filesOf(content)['a'] === '2');
      expect(front.paths.map(isWatch)).toEqual([false, true, true]);
      expect(front.paths[2]).toContain(`&resourceVersion=${version}&`);
      await follower.stop();
    });

    it('is to end before a balancer cuts what was idle for a minute', async () => {
      await put(`${CONFIG_MAPS}/minute`, { data: { a: '1' } });
      const { front, openAtFront } = await withFront();
      const follower = follow(openAtFront('k8s://configmap/minute', { updateFrequencyMs: 600_000 }));
      await follower.next();
      await put(`${CONFIG_MAPS}/minute`, { data: { a: '2' } });
      await follower.nextSnapshot();
      const [, seconds] = /timeoutSeconds=(\d+)/.exec(front.paths.find(isWatch) ?? '') ?? [];
      expect(Number(seconds)).toBeGreaterThanOrEqual(45);
      expect(Number(seconds)).toBeLessThanOrEqual(55);
      await follower.stop();
    });
  });

  const withFront = async () => {
    const front: KubernetesFront = await startKubernetesFront(server);
    onTestFinished(() => front.close());
    const access = { port: front.port, ca: front.ca };
    return {
      front,
      openAtFront: (url: string, overrides?: Partial<ProviderOptions>) => open(url, access, overrides),
    };
  };
  const isWatch = (path: string): boolean => path.includes('watch=true');

  describe(`${name}: when something is in the way`, () => {
    beforeEach(() => put(`${CONFIG_MAPS}/way`, { data: { a: '1' } }));

    it('a connection that is cut while it watches brings a list at once, and no outage', async () => {
      const proxy = await startProxy(server.port);
      onTestFinished(() => proxy.close());
      const follower = follow(open('k8s://configmap/way', { port: proxy.port }));
      await follower.next();
      for (const a of ['2', '3']) {
        await expect.poll(() => proxy.open()).toBeGreaterThan(0);
        // Longer than what counts as a watch that the server ends at once.
        await new Promise((resolve) => setTimeout(resolve, 1_200));
        proxy.mode = 'hold';
        await put(`${CONFIG_MAPS}/way`, { data: { a } });
        proxy.cut();
        proxy.mode = 'pass';
        await follower.until((content) => filesOf(content)['a'] === a);
      }
      await follower.stop();
    });

    it('a connection that is cut whenever it watches is an outage', async () => {
      const { front, openAtFront } = await withFront();
      front.rule = (path) => (isWatch(path) ? { status: 200, body: '' } : null);
      const error = await lastOf(openAtFront('k8s://configmap/way'));
      expect(error).toMatchObject({
        code: 'source.disconnected',
        message: 'Cannot read Kubernetes "k8s://configmap/way": the server ends each watch at once',
      });
      expect(front.paths.filter(isWatch)).toHaveLength(2);
    });

    it('a watch that goes silent is given up after its time, and a list goes by another connection', async () => {
      const proxy = await startProxy(server.port);
      onTestFinished(() => proxy.close());
      const provider = open(
        'k8s://configmap/way',
        { port: proxy.port },
        { fetchTimeoutMs: 500, updateFrequencyMs: 100 },
      );
      const follower = follow(provider, 30_000);
      await follower.next();
      await put(`${CONFIG_MAPS}/way`, { data: { a: 'by the watch' } });
      await follower.until((content) => filesOf(content)['a'] === 'by the watch');
      const connections = proxy.connections();
      proxy.mode = 'black-hole';
      await put(`${CONFIG_MAPS}/way`, { data: { a: 'after' } });
      proxy.mode = 'pass';
      await follower.until((content) => filesOf(content)['a'] === 'after');
      expect(proxy.connections()).toBe(connections + 1);
      await follower.stop();
    });

    it.each([
      [
        'as a status',
        { status: 410, body: '{"kind":"Status","code":410,"message":"too old resource version: 1 (9)"}' },
      ],
      [
        'in the stream',
        { status: 200, body: '{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n' },
      ],
    ])('410 %s brings a list at once', async (_how, reply) => {
      const { front, openAtFront } = await withFront();
      let gone = 1;
      front.rule = (path) => (isWatch(path) && gone-- > 0 ? reply : null);
      const follower = follow(openAtFront('k8s://configmap/way'));
      await follower.next();
      expect(await follower.next()).toEqual({ kind: 'same' });
      await put(`${CONFIG_MAPS}/way`, { data: { a: 'later' } });
      await follower.until((content) => filesOf(content)['a'] === 'later');
      expect(front.paths.map(isWatch)).toEqual([false, true, false, true]);
      await follower.stop();
    });

    it('a change in the same breath as the end of the watch is not lost', async () => {
      const { front, openAtFront } = await withFront();
      const follower = follow(openAtFront('k8s://configmap/way'));
      const way = '{"metadata":{"name":"way","resourceVersion":"99999999"},"data":{"a":"1"}}';
      const body = ['MODIFIED', 'ERROR'].map((type) =>
        type === 'ERROR'
          ? '{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n'
          : `{"type":"MODIFIED","object":${way.replace('"1"}', '"2"}')}}\n`,
      );
      let watches = 0;
      front.rule = (path) => {
        if (isWatch(path)) return watches++ === 0 ? { status: 200, body: body.join('') } : null;
        return watches === 0 ? null : { status: 200, body: list(way.replace('"1"}', '"2"}')) };
      };
      await follower.next();
      await follower.until((content) => filesOf(content)['a'] === '2');
      await follower.stop();
    });

    it('410 again and again is an error', async () => {
      const { front, openAtFront } = await withFront();
      const body = '{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n';
      front.rule = (path) => (isWatch(path) ? { status: 200, body } : null);
      expect(await lastOf(openAtFront('k8s://configmap/way'))).toMatchObject({
        code: 'source.compacted',
        message: 'Cannot read Kubernetes "k8s://configmap/way": the watch was ended: too old',
      });
    });

    it.each([
      [
        429,
        { 'Retry-After': '7' },
        'source.failed',
        'the API server answered 429: busy and asks to wait 7 s',
        7_000,
      ],
      [500, {}, 'source.failed', 'the API server answered 500: busy', undefined],
      [
        503,
        { 'Retry-After': '1' },
        'source.failed',
        'the API server answered 503: busy and asks to wait 1 s',
        1_000,
      ],
      [409, {}, 'source.failed', 'the API server answered 409: busy', undefined],
      [302, { Location: '/x' }, 'source.redirected', 'the API server answered 302: busy', undefined],
      [
        404,
        {},
        'source.not-found',
        'the server answered 404 for a path that every Kubernetes API has; is it one?',
        undefined,
      ],
    ])('%i is an error, and its Retry-After counts', async (status, headers, code, reason, retryAfterMs) => {
      const { front, openAtFront } = await withFront();
      const body = '{"kind":"Status","message":"busy"}';
      for (const isHit of [() => true, isWatch]) {
        front.rule = (path) => (isHit(path) ? { status, headers: { ...headers }, body } : null);
        const error = await lastOf(openAtFront('k8s://configmap/way'));
        expect(error).toMatchObject({
          code,
          message: `Cannot read Kubernetes "k8s://configmap/way": ${reason}`,
        });
        expect(error.retryAfterMs).toBe(retryAfterMs);
      }
    });

    it.each([
      ['a page', '<html></html>', 'something other than a ConfigMapList'],
      [
        'another kind',
        '{"kind":"SecretList","items":[],"metadata":{"resourceVersion":"1"}}',
        'something other than a ConfigMapList',
      ],
      [
        'another object',
        list('{"metadata":{"name":"other","resourceVersion":"1"}}'),
        'an object that was not asked for',
      ],
      ['no version', list('{"metadata":{"name":"way"}}'), 'an object without name and version'],
      [
        'a number',
        list('{"metadata":{"name":"way","resourceVersion":"1"},"data":{"a":1}}'),
        'a value that is not text',
      ],
      [
        'no Base64',
        list('{"metadata":{"name":"way","resourceVersion":"1"},"binaryData":{"a":"%"}}'),
        'a value that is not Base64',
      ],
    ])('an answer that no API server gives is refused: %s', async (_what, body, reason) => {
      const { front, openAtFront } = await withFront();
      front.rule = () => ({ status: 200, body });
      expect(await failureOf(openAtFront('k8s://configmap/way'))).toMatchObject({
        code: 'source.bad-answer',
        message: `Cannot read Kubernetes "k8s://configmap/way": the server sent ${reason}; is it a Kubernetes API server?`,
      });
    });

    it('a list that goes on without end is refused as soon as it is too large', async () => {
      const { front, openAtFront } = await withFront();
      let pages = 0;
      const filler = 'x'.repeat(30_000);
      front.rule = () => {
        pages += 1;
        const named = (name: string, rest = ''): string =>
          `{"metadata":{"name":"${name}","resourceVersion":"1"${rest}}}`;
        const items = Array.from({ length: 300 }, (_, at) => named(`p${pages}-${at}`));
        const fat = named(`fat-${pages}`, `,"annotations":{"a":"${filler}"}`);
        const metadata = `{"resourceVersion":"1","continue":"${pages}"}`;
        return {
          status: 200,
          body: `{"kind":"ConfigMapList","metadata":${metadata},"items":[${items},${fat}]}`,
        };
      };
      const provider = openAtFront('k8s://configmaps?selector=a%3Db', { maxBytes: 64 * 1024 });
      expect(await failureOf(provider)).toMatchObject({ code: 'source.too-large' });
      expect(pages).toBe(4);
    });

    it('an answer of millions of tiny values is refused before it is parsed', async () => {
      const { front, openAtFront } = await withFront();
      const body = `{"kind":"ConfigMapList","metadata":{"resourceVersion":"1"},"items":[${'{},'.repeat(1_000_000)}{}]}`;
      front.rule = () => ({ status: 200, body });
      expect(await failureOf(openAtFront('k8s://configmap/way'))).toMatchObject({
        code: 'source.bad-answer',
        message:
          'Cannot read Kubernetes "k8s://configmap/way": the server sent an answer of very many tiny values; is it a Kubernetes API server?',
      });
    });

    it('a key that cannot be the name of a file is refused', async () => {
      const { front, openAtFront } = await withFront();
      front.rule = () => ({
        status: 200,
        body: list('{"metadata":{"name":"way","resourceVersion":"1"},"data":{"../x":"1"}}'),
      });
      expect(await failureOf(openAtFront('k8s://configmap/way'))).toMatchObject({
        code: 'source.bad-key',
        message: 'Cannot read Kubernetes "k8s://configmap/way": the key "../x" cannot be the name of a file',
      });
    });
  });

  describe(`${name}: rights`, () => {
    const ONE = {
      apiGroups: [''],
      resources: ['configmaps'],
      resourceNames: ['mine'],
      verbs: ['get', 'list', 'watch'],
    };

    it('for one object by its name are enough to list and to watch it', async () => {
      await put(`${CONFIG_MAPS}/mine`, { data: { a: '1' } });
      const token = await server.tokenFor('reader', [ONE]);
      const follower = follow(open('k8s://configmap/mine', { user: { token } }));
      await follower.next();
      await put(`${CONFIG_MAPS}/mine`, { data: { a: '2' } });
      await follower.until((content) => filesOf(content)['a'] === '2');
      await put(`${CONFIG_MAPS}/mine`, null);
      await follower.until((content) => content.kind === 'nothing');
      await follower.stop();
      // It may not ask for the namespace either.
      expect((await read(open('k8s://configmap/mine', { user: { token } }))).content).toEqual({
        kind: 'nothing',
      });
    });

    it('that are missing are named, with the Role that would give them', async () => {
      const token = await server.tokenFor('limited', [ONE]);
      const role = 'bind it to a Role with verbs get, list, watch on';
      const who = '"system:serviceaccount:default:limited"';
      await expectFailure(
        open('k8s://secret/login', { user: { token } }),
        'source.denied',
        `${who} may not list secrets "login" in namespace "default" (403); ${role} secrets and resourceNames [login] there`,
      );
      await expectFailure(
        open('k8s://configmaps?selector=app%3Dweb', { user: { token } }),
        'source.denied',
        `${who} may not list configmaps with "app=web" in namespace "default" (403); ${role} configmaps there`,
      );
    });

    it('to list alone are not enough', async () => {
      await put(`${CONFIG_MAPS}/mine`, { data: { a: '1' } });
      const token = await server.tokenFor('lister', [{ ...ONE, verbs: ['get', 'list'] }]);
      expect((await lastOf(open('k8s://configmap/mine', { user: { token } }))).message).toContain(
        'may not watch configmaps "mine" in namespace "default" (403)',
      );
    });

    it('are not read with a token that is not accepted', async () => {
      await expectFailure(
        open('k8s://configmap/mine', { user: { token: 'wrong' } }),
        'source.denied',
        'the API server does not accept our credentials (401)',
      );
    });
  });

  describe(`${name}: what was asked for is not there`, () => {
    it('a namespace that does not exist is an error and not nothing', async () => {
      await expectFailure(
        open('k8s://configmap/web?namespace=none'),
        'source.not-found',
        'there is no namespace "none"; correct it in SOURCE, or make it',
      );
    });

    it('an invalid selector is refused by the server', async () => {
      await expectFailure(
        open('k8s://configmaps?selector=%3D%3D%3D'),
        'source.failed',
        "the API server answered 400: found '==', expected: !, identifier, or 'end of string'",
      );
    });
  });

  describe(`${name}: in a pod`, () => {
    it('the token is read again at each request, and so is the authority', async () => {
      await put(`${CONFIG_MAPS}/pod`, { data: { a: '1' } });
      const { front } = await withFront();
      const account = join(folder, 'account');
      mkdirSync(account, { recursive: true });
      const token = await server.tokenFor('rotating', [
        { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] },
      ]);
      const save = (name_: string, text: string): void => writeFileSync(join(account, name_), text);
      save('namespace', 'default');
      save('ca.crt', front.ca);
      save('token', 'expired');
      const platformEnv = {
        KUBERNETES_SERVICE_HOST: '127.0.0.1',
        KUBERNETES_SERVICE_PORT: String(front.port),
      };
      const url = 'k8s://configmap/pod';
      const provider = openKubernetes(
        url,
        parseKubernetesUrl(url),
        providerOptions({ platformEnv }),
        account,
      );
      expect((await failureOf(provider)).code).toBe('source.denied');
      save('token', `${token}\n`);
      expect(filesOf((await read(provider)).content)).toEqual({ a: '1' });
      expect(new Set(front.credentials)).toEqual(new Set(['Bearer expired', `Bearer ${token}`]));
      save('ca.crt', server.ca);
      expect((await failureOf(provider)).code).toBe('source.tls');
    });
  });
}

function list(item: string): string {
  return `{"kind":"ConfigMapList","metadata":{"resourceVersion":"1"},"items":[${item}]}`;
}

function expectStatus(
  { status, body }: { readonly status: number; readonly body: unknown },
  allowed: readonly number[],
): void {
  if (!allowed.includes(status)) throw new Error(`The server answered ${status}: ${JSON.stringify(body)}`);
}

async function read(provider: Provider) {
  const follower = follow(provider);
  const snapshot = snapshotOf(await follower.next());
  await follower.stop();
  return snapshot;
}

async function expectFailure(provider: Provider, code: string, reason: string): Promise<void> {
  const { code: given, message } = await failureOf(provider);
  expect({ code: given, message }).toEqual({
    code,
    message: `Cannot read Kubernetes "${provider.source}": ${reason}`,
  });
}

/** The error with which a watch ends, whatever it says before. */
async function lastOf(provider: Provider): Promise<SidecarError> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), 60_000);
  try {
    for await (const _observation of provider.watch(controller.signal));
  } catch (thrown) {
    return thrown as SidecarError;
  } finally {
    clearTimeout(timer);
  }
  throw new Error('The watch did not fail');
}

function filesOf(content: Content): Record<string, string> {
  if (content.kind !== 'tree') return {};
  return Object.fromEntries(content.entries.map(({ key, value }) => [key, Buffer.from(value).toString()]));
}
