// What a snapshot says: trees nested, documents read, digests that move only when the content does.
import { describe, expect, it } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import { type Data, type DataOptions, digestOf, readData } from '../../../src/render/data.ts';
import type { Content, Entry } from '../../../src/source/provider.ts';
import { seen } from '../../support/fixtures/readers.ts';

const bytesOf = (text: string): Uint8Array => Buffer.from(text);
const OPTIONS: DataOptions = { keysAs: 'string', allowEmpty: false, source: 'etcd://h:2379/app/' };

function tree(pairs: Readonly<Record<string, string | Uint8Array>>): Content & { kind: 'tree' } {
  const entries: Entry[] = Object.entries(pairs).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? bytesOf(value) : value,
  }));
  return { kind: 'tree', entries };
}

function document(
  text: string,
  more: Partial<Content & { kind: 'document' }> = {},
): Content & { kind: 'document' } {
  return {
    kind: 'document',
    bytes: bytesOf(text),
    name: 'app.json',
    contentType: null,
    pointer: null,
    ...more,
  };
}

const read = (content: Content, options: Partial<DataOptions> = {}): Promise<Data> =>
  readData({ revision: '7', content }, { ...OPTIONS, ...options });

async function refusal(content: Content, options: Partial<DataOptions> = {}): Promise<string> {
  try {
    const data = await read(content, options);
    await data.entries();
    await data.value();
  } catch (thrown) {
    if (thrown instanceof SidecarError) return `${thrown.stage} ${thrown.code}: ${thrown.message}`;
    throw thrown;
  }
  return 'accepted';
}

describe('a tree', () => {
  it('is nested maps split at "/", and a flat list sorted by key', async () => {
    const data = await read(tree({ 'web/port': '80', 'a/x': '1', 'a-b': '2', 'web/tls/on': 'true' }));
    expect(JSON.stringify(await data.value())).toBe(
      '{"a":{"x":"1"},"a-b":"2","web":{"port":"80","tls":{"on":"true"}}}',
    );
    expect((await data.entries()).map(({ key, value }) => [key, value])).toEqual([
      ['a-b', '2'],
      ['a/x', '1'],
      ['web/port', '80'],
      ['web/tls/on', 'true'],
    ]);
    expect([data.kind, data.revision, data.bytes, data.format]).toEqual(['tree', '7', null, null]);
  });

  it('with KEYS_AS=json has parsed values where they are JSON, and text elsewhere', async () => {
    const content = tree({
      n: '5',
      big: '9007199254740993',
      list: '[1]',
      text: 'hello',
      version: '1.2.3',
      zero: '007',
      map: '{"a":null}',
    });
    expect(seen(await (await read(content, { keysAs: 'json' })).value())).toEqual(
      seen({
        n: 5,
        big: 9007199254740993n,
        list: [1],
        text: 'hello',
        version: '1.2.3',
        zero: '007',
        map: { a: null },
      }),
    );
    expect(seen(await (await read(tree({ n: '5' }))).value())).toEqual(seen({ n: '5' }));
  });

  it('may have keys that mean something in JavaScript, and pollutes nothing', async () => {
    const data = await read(
      tree({ '__proto__/polluted': 'yes', 'constructor/prototype/polluted': 'yes', toString: 'x' }),
    );
    expect(JSON.stringify(await data.value())).toBe(
      '{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}},"toString":"x"}',
    );
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it.each<[string, Content, string]>([
    [
      'a value that is a folder too',
      tree({ 'db/host': 'h', db: 'x' }),
      'the key "db" is both a value and a folder ("db/…")',
    ],
    [
      'the same, seen in the other order',
      tree({ 'db/host/name': 'h', 'db/host': 'x' }),
      'the key "db/host" is both a value and a folder ("db/host/…")',
    ],
    ['an empty part', tree({ 'a//b': 'x' }), 'a part of the key "a//b" is empty'],
    ['a slash at the end', tree({ 'a/': 'x' }), 'a part of the key "a/" is empty'],
    ['a NUL', tree({ 'a\0b': 'x' }), 'the key "a\\u0000b" holds a NUL'],
    [
      'a depth beyond reason',
      tree({ [Array(102).fill('a').join('/')]: 'x' }),
      'a key has more than 100 parts',
    ],
    [
      'a key that comes twice',
      { kind: 'tree', entries: [...tree({ a: '1' }).entries, ...tree({ a: '2' }).entries] },
      'the key "a" is given twice',
    ],
  ])('with %s is refused by the name of the key', async (_, content, reason) => {
    expect(await refusal(content)).toBe(
      `render render.key: Cannot use the keys of "etcd://h:2379/app/": ${reason}`,
    );
  });

  it('with KEYS_AS=json refuses JSON on which readers do not agree', async () => {
    expect(await refusal(tree({ k: '{"a":1,"a":2}' }), { keysAs: 'json' })).toBe(
      'render render.key: Cannot use the keys of "etcd://h:2379/app/": the value of the key "k" is JSON that cannot be used: this key appears twice',
    );
    expect(await refusal(tree({ db: '{"host":1}', 'db/host': '2' }), { keysAs: 'json' })).toContain(
      'both a value and a folder',
    );
  });

  it.each(['string', 'json'] as const)(
    'keeps values that are not text as bytes, KEYS_AS=%s',
    async (keysAs) => {
      const data = await read(tree({ b: new Uint8Array([0xff, 0]), a: 'x' }), { keysAs });
      expect(seen(await data.value())).toEqual({
        map: [
          ['a', 'x'],
          ['b', { other: 'bytes ff00' }],
        ],
      });
      expect((await data.entries()).map(({ key }) => key)).toEqual(['a', 'b']);
    },
  );
});

describe('a document', () => {
  it('is recognised by its name, else by its content type', async () => {
    expect((await read(document('a: 1', { name: 'app.yaml', contentType: 'text/plain' }))).format).toBe(
      'yaml',
    );
    expect((await read(document('{}', { name: 'app', contentType: 'application/hal+json' }))).format).toBe(
      'json',
    );
    expect((await read(document('{}', { name: 'app' }))).format).toBe(null);
  });

  it.each([
    ['json', '{"a":[1]}', { a: [1] }],
    ['yaml', 'a: [1]', { a: [1] }],
    ['toml', 'a = [1]', { a: [1] }],
    ['ini', '[a]\nb = 1', { a: { b: '1' } }],
    ['env', 'A=1', { A: '1' }],
    ['properties', 'a.b=1', { a: { b: '1' } }],
    ['text', 'a: [1', 'a: [1'],
  ] as const)(
    'is %s where SOURCE_FORMAT says so and nothing else does',
    async (sourceFormat, text, value) => {
      const content = document(text, { name: 'config', contentType: 'text/plain' });
      const data = await read(content, { sourceFormat });
      expect(seen(await data.value())).toEqual(seen(value));
      expect(data.format).toBe(sourceFormat === 'text' ? null : sourceFormat);
      expect(data.bytes).toBe(content.bytes);
    },
  );

  it('is not looked into with SOURCE_FORMAT=bytes, and must be UTF-8 with SOURCE_FORMAT=text', async () => {
    const content = { ...document('', { name: 'blob' }), bytes: new Uint8Array([0xff]) };
    const data = await read(content, { sourceFormat: 'bytes' });
    expect(seen(await data.value())).toEqual({ other: 'bytes ff' });
    expect(await refusal(content, { sourceFormat: 'text', source: 'S' })).toBe(
      'render render.document: Cannot read document "blob" of "S" as text: it is not UTF-8 text',
    );
  });

  it('is what its name or its content type says, whatever SOURCE_FORMAT is', async () => {
    expect((await read(document('{}'), { sourceFormat: 'yaml' })).format).toBe('json');
    const typed = document('{}', { name: 'app', contentType: 'application/json' });
    expect((await read(typed, { sourceFormat: 'yaml' })).format).toBe('json');
  });

  it('is given as its leaves, by their paths', async () => {
    const data = await read(document('{"b":[{"c":true},"x"],"a":{"z":1,"y":{}}}'));
    expect((await data.entries()).map(({ key, value }) => [key, value])).toEqual([
      ['a/z', 1],
      ['b/0/c', true],
      ['b/1', 'x'],
    ]);
  });

  it('with a pointer is only that part, and no longer the bytes as they came', async () => {
    const data = await read(document('{"data":{"web":{"a":1}}}', { pointer: '/data/web' }));
    expect(seen(await data.value())).toEqual(seen({ a: 1 }));
    expect(data.bytes).toBe(null);
    expect((await read(document('{}', { pointer: '' }))).bytes).not.toBe(null);
  });

  it.each([
    ['/data/app.yaml', 'a:\n  - 1\n', 'yaml', { a: [1] }],
    ['/data/etc~1app.toml', 'a = 1', 'toml', { a: 1 }],
    ['/data/.env', 'A=1', 'env', { A: '1' }],
  ] as const)('with a pointer to the text %s is the document in it', async (pointer, text, format, value) => {
    const outer = { data: { [pointer.slice('/data/'.length).replace('~1', '/')]: text } };
    const data = await read(document(JSON.stringify(outer), { pointer }));
    expect([data.format, Buffer.from(data.bytes ?? []).toString()]).toEqual([format, text]);
    expect(seen(await data.value())).toEqual(seen(value));
  });

  it('with a pointer to anything but a text is that, whatever the name', async () => {
    const data = await read(document('{"app.yaml":{"a":1},"app":"a: 1"}', { pointer: '/app.yaml' }));
    expect([data.format, data.bytes, seen(await data.value())]).toEqual(['json', null, seen({ a: 1 })]);
    expect(await (await read(document('{"app":"a: 1"}', { pointer: '/app' }))).value()).toBe('a: 1');
  });

  it.each<[Content, string]>([
    [
      document('{"app.yaml":"a: [1"}', { pointer: '/app.yaml' }),
      'render.document: Cannot read the text at "/app.yaml" in document "app.json" of "S" as YAML: line 1, column 6: unexpected end of the stream within a flow collection',
    ],
    [
      document('{"password": hunter2}'),
      'render.document: Cannot read document "app.json" of "S" as JSON: line 1, column 14: unexpected text where a value is expected',
    ],
    [
      document('a: [1', { name: 'app.yml' }),
      'render.document: Cannot read document "app.yml" of "S" as YAML: line 1, column 6: unexpected end of the stream within a flow collection',
    ],
    [
      document('a = ', { name: 'app.toml' }),
      'render.document: Cannot read document "app.toml" of "S" as TOML: line 1, column 5: invalid value',
    ],
    [
      document('{}', { name: 'app' }),
      'render.format: Cannot look into document "app" of "S": its name does not say what it is; set SOURCE_FORMAT (json, yaml, toml, ini, env, properties, text, bytes), or give it a name that ends in .json, .yaml, .yml, .toml, .ini, .env or .properties',
    ],
    [
      document('{}', { name: 'app', contentType: 'text/plain' }),
      'render.format: Cannot look into document "app" of "S": neither its name nor its content type "text/plain" says what it is; set SOURCE_FORMAT (json, yaml, toml, ini, env, properties, text, bytes), or give it a name that ends in .json, .yaml, .yml, .toml, .ini, .env or .properties',
    ],
    [
      document('{"a":1}', { pointer: '/b' }),
      'render.pointer: Cannot find "/b" in document "app.json" of "S": there is no "b" in "/"',
    ],
  ])('that cannot be read is refused: %#', async (content, message) => {
    expect(await refusal(content, { source: 'S' })).toBe(`render ${message}`);
  });

  it('that is not UTF-8 is refused when it is used as text', async () => {
    const content = { ...document(''), bytes: new Uint8Array([0xff]) };
    expect((await read(content)).bytes).toEqual(new Uint8Array([0xff]));
    expect(await refusal(content)).toBe(
      'render render.document: Cannot read document "app.json" of "etcd://h:2379/app/" as JSON: it is not UTF-8 text',
    );
  });
});

describe('a source that says there is nothing', () => {
  it('is refused, with what to do about it', async () => {
    expect(await refusal({ kind: 'nothing' })).toBe(
      'render source.empty: Cannot use the source "etcd://h:2379/app/": it is empty; check the URL (a tree of keys ends with "/", a single key does not); ALLOW_EMPTY=true accepts that; set it only where an empty configuration is valid',
    );
    expect(await refusal({ kind: 'nothing' }, { source: 'consul://h:8500/app/' })).toBe(
      'render source.empty: Cannot use the source "consul://h:8500/app/": it is empty; check the URL (a tree of keys ends with "/", a single key does not) and the token, as one that may not read gets the same answer; ALLOW_EMPTY=true accepts that; set it only where an empty configuration is valid',
    );
    expect(await refusal({ kind: 'nothing' }, { source: '/srv/app.json' })).toBe(
      'render source.empty: Cannot use the source "/srv/app.json": it is empty; check the URL; ALLOW_EMPTY=true accepts that; set it only where an empty configuration is valid',
    );
  });

  it('is an empty map, and empty bytes, with ALLOW_EMPTY', async () => {
    const data = await read({ kind: 'nothing' }, { allowEmpty: true });
    expect([data.kind, seen(await data.value()), await data.entries(), data.bytes?.length]).toEqual([
      'tree',
      { map: [] },
      [],
      0,
    ]);
  });
});

describe('the digest', () => {
  it('of a tree does not depend on the order of its entries, but on every key and value', () => {
    const { entries } = tree({ a: '1', b: '2', c: '3' });
    const digest = digestOf({ kind: 'tree', entries });
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(digestOf({ kind: 'tree', entries: [...entries].reverse() })).toBe(digest);
    const others = [
      tree({ a: '1', b: '2' }),
      tree({ a: '1', b: '23', c: '' }),
      tree({ a: '1', b: '2', d: '3' }),
      tree({}),
      tree({ a1b2: '', c: '3' }),
    ];
    expect(new Set([digest, ...others.map(digestOf), digestOf({ kind: 'nothing' })]).size).toBe(7);
  });

  it('of a large tree is the same whether or not parts of it are known already', () => {
    const copyOf = (entries: readonly Entry[]) =>
      entries.map(({ key, value }) => ({ key, value: Buffer.from(value) }));
    const keys = Array.from({ length: 250 }, (_, at) => `key-${1000 + at}`);
    let entries: readonly Entry[] = keys.map((key) => ({ key, value: Buffer.from(`value of ${key}`) }));
    const seenDigests = new Set([digestOf({ kind: 'tree', entries })]);
    const changed = { key: 'key-1150', value: Buffer.from('changed') };
    const steps: ((before: readonly Entry[]) => readonly Entry[])[] = [
      (before) => before.with(150, changed),
      (before) => before.toSpliced(149, 1),
      (before) => [{ key: 'key-0999', value: Buffer.from('first') }, ...before],
      (before) => before.slice(0, 200),
      (before) => before.slice(0, 100),
    ];
    for (const step of steps) {
      entries = step(entries);
      const digest = digestOf({ kind: 'tree', entries });
      expect(digestOf({ kind: 'tree', entries: copyOf(entries) })).toBe(digest);
      seenDigests.add(digest);
    }
    expect(seenDigests.size).toBe(steps.length + 1);
  });

  it('of a document depends on its bytes, its pointer and its format, and not on its revision', async () => {
    const all = [
      document('{}'),
      document('{ }'),
      document('{}', { pointer: '/a' }),
      document('{}', { name: 'a.yaml' }),
    ];
    expect(new Set(all.map(digestOf)).size).toBe(4);
    expect(digestOf(document('{}', { name: 'other.json', pointer: '' }))).toBe(digestOf(document('{}')));
    const [first, second] = await Promise.all(
      ['1', '2'].map((revision) => readData({ revision, content: document('{}') }, OPTIONS)),
    );
    expect(first?.digest).toBe(second?.digest);
  });
});
