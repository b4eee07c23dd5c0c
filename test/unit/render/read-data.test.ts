// The data of several sources: what each is, its place among the others, and whose fault a refusal is.
import { describe, expect, it } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import { type DataOptions, digestOf } from '../../../src/render/data.ts';
import { guardData } from '../../../src/render/guard.ts';
import { keysBySource } from '../../../src/render/provenance.ts';
import { readTargetData } from '../../../src/render/read-data.ts';
import { render } from '../../../src/render/render.ts';
import type { Content, Merged, MergedPart } from '../../../src/source/provider.ts';

const OPTIONS: DataOptions = { keysAs: 'string', allowEmpty: false, source: 'all of them' };

const tree = (pairs: Readonly<Record<string, string>>): Content => ({
  kind: 'tree',
  entries: Object.entries(pairs).map(([key, value]) => ({ key, value: Buffer.from(value) })),
});

const document = (text: string, name = 'app.yaml'): Content => ({
  kind: 'document',
  bytes: Buffer.from(text),
  name,
  contentType: null,
  pointer: null,
});

const NOTHING: Content = { kind: 'nothing' };

function part(source: string, content: Content, more: Partial<MergedPart> = {}): MergedPart {
  const place = { name: null, optional: false, format: undefined };
  return { source, ...place, snapshot: { revision: '1', content }, ...more };
}

const merged = (...parts: readonly MergedPart[]): Merged => ({ kind: 'merged', parts });

const read = (content: Merged, options: Partial<DataOptions> = {}) =>
  readTargetData({ revision: '1,1', content }, { ...OPTIONS, ...options });

const plain = async (content: Merged, options: Partial<DataOptions> = {}): Promise<unknown> =>
  JSON.parse(JSON.stringify(await (await read(content, options)).value()));

const refusal = (content: Merged, options: Partial<DataOptions> = {}): Promise<string> =>
  read(content, options).then(
    () => 'accepted',
    (thrown: SidecarError) => `${thrown.code}: ${thrown.message}`,
  );

const CERTS = part('/certs/', tree({ 'tls.crt': 'PEM' }), { name: 'tls' });

describe('the data of several sources', () => {
  it.each(['# every line is a comment\n', ''])(
    'is an empty map in a document that says nothing (%j), where nothing is accepted',
    async (text) => {
      const content = (more: Partial<MergedPart>): Merged =>
        merged(part('/base.yaml', document('port: 1')), part('/overlay.yaml', document(text), more));
      expect(await plain(content({ optional: true }))).toEqual({ port: 1 });
      expect(await plain(content({}), { allowEmpty: true })).toEqual({ port: 1 });
      expect(await plain(content({ name: 'more', optional: true }))).toEqual({ port: 1, more: null });
      expect(await refusal(content({}))).toBe(
        'render.conflict: Cannot merge "/overlay.yaml" with other sources: it holds nothing; write {} into it, or set optional: true for it in the settings file',
      );
    },
  );

  it('stands at the top or below its name, trees beside documents', async () => {
    const content = merged(
      part('/base.yaml', document('db: {host: a, port: 1}\nlist: [1, 2]')),
      part('etcd://h:2379/app/', tree({ 'db/host': 'b' })),
      part('/list.json', document('[3]', 'list.json'), { name: 'more' }),
      CERTS,
    );
    expect(await plain(content)).toEqual({
      db: { host: 'b', port: 1 },
      list: [1, 2],
      more: [3],
      tls: { 'tls.crt': 'PEM' },
    });
    expect(await keysBySource(await read(content))).toEqual([
      '"etcd://h:2379/app/": db/host',
      '"/base.yaml": db/port, list',
      '"more=/list.json": more',
      '"tls=/certs/": tls/tls.crt',
    ]);
  });

  it('is a tree where all of them are, so that a directory gets a file for each key', async () => {
    const data = await read(
      merged(part('/a/', tree({ x: '1', y: '2' })), part('/b/', tree({ x: '3' })), CERTS),
    );
    const output = { kind: 'directory', path: '/out' } as const;
    const how = { output, format: undefined, mode: 0o644, owner: null, templateEnv: {}, maxBytes: 1_000 };
    const { files } = await render(data, null, how);
    expect(files.map(({ name, bytes }) => `${name}=${Buffer.from(bytes)}`)).toEqual([
      'tls/tls.crt=PEM',
      'x=3',
      'y=2',
    ]);
  });

  it('is judged empty for each alone, with the source that says it', async () => {
    const base = part('/base.yaml', document('a: 1'));
    const empty = part('consul://h:8500/app/', NOTHING);
    expect(await refusal(merged(base, empty))).toMatch(
      /^source\.empty: Cannot use the source "consul:\/\/h:8500\/app\/": it is empty;/,
    );
    expect(await plain(merged(base, { ...empty, optional: true }))).toEqual({ a: 1 });
    expect(await plain(merged(base, empty), { allowEmpty: true })).toEqual({ a: 1 });
    expect(await plain(merged(base, { ...empty, optional: true, name: 'more' }))).toEqual({ a: 1, more: {} });
  });

  it('is read in the format of its entry where nothing else says one', async () => {
    const unnamed = part('https://h/app', document('{"a": 1}', 'app'));
    expect(await refusal(merged(unnamed, CERTS))).toMatch(
      /^render\.format: Cannot look into document "app" of "https:\/\/h\/app"/,
    );
    expect(await plain(merged({ ...unnamed, format: 'json' }, CERTS))).toEqual({
      a: 1,
      tls: { 'tls.crt': 'PEM' },
    });
    expect(await plain(merged({ ...unnamed, format: 'text', name: 'motd' }, CERTS))).toEqual({
      motd: '{"a": 1}',
      tls: { 'tls.crt': 'PEM' },
    });
  });

  it('refuses a source of which something is wrong, and names that one', async () => {
    expect(await refusal(merged(CERTS, part('/bad.json', document('{', 'bad.json'))))).toMatch(
      /^render\.document: Cannot read document "bad\.json" of "\/bad\.json" as JSON: /,
    );
    expect(await refusal(merged(CERTS, part('/b.yaml', document('tls: x'))))).toMatch(
      /^render\.conflict: Cannot merge the sources at "tls": it is a map in "tls=\/certs\/" and a value in "\/b\.yaml";/,
    );
  });

  it('is that of a single source where only one is left, bytes included', async () => {
    const bytes = Buffer.from('a:   1 # as it came\n');
    const data = await read(merged(part('/a.yaml', document(bytes.toString()), { optional: true })));
    expect(data.bytes).toEqual(bytes);
    expect(data.origins).toBeUndefined();
    expect(await plain(merged(CERTS))).toEqual({ tls: { 'tls.crt': 'PEM' } });
  });

  it('has another digest when the order, a name or a content is another', () => {
    const [a, b] = [part('/a/', tree({ x: '1' })), part('/b/', tree({ y: '2' }))];
    const digests = [merged(a, b), merged(b, a), merged(a, { ...b, name: 'n' }), merged(a)].map(digestOf);
    expect(new Set(digests).size).toBe(4);
    const again = { ...b, snapshot: { revision: '9', content: tree({ y: '2' }) } };
    expect(digestOf(merged(a, again))).toBe(digests[0]);
  });

  it('is guarded as a whole, and a violation of the schema names the source of the value', async () => {
    const data = await read(
      merged(part('/a.yaml', document('db: {port: x}')), part('/b.yaml', document('db: {host: 1}'))),
    );
    const schema = JSON.stringify({
      properties: {
        db: {
          required: ['user'],
          properties: { port: { type: 'number' }, host: { type: 'string' } },
        },
      },
    });
    const guards = { requiredKeys: [], schema: { path: 's.json', bytes: Buffer.from(schema) } };
    const error: SidecarError = await guardData(data, guards).catch((thrown) => thrown);
    expect(error.code).toBe('guard.schema');
    expect(error.message.split(': ').at(-1)?.split('; ').sort()).toEqual([
      '/db must have required property \'user\' (from "/a.yaml" and "/b.yaml")',
      '/db/host must be string (from "/b.yaml")',
      '/db/port must be number (from "/a.yaml")',
    ]);
    expect(error).toBeInstanceOf(SidecarError);
    await guardData(data, { requiredKeys: ['db/port', 'db/host'], schema: null });
  });
});
