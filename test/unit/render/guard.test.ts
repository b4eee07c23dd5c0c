// Checks that need no other program: required keys, the schema, and whether rendered files parse.
import { describe, expect, it } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import { type Data, readData } from '../../../src/render/data.ts';
import { createGeneration } from '../../../src/render/generation.ts';
import { type DataGuards, guardData, guardFiles } from '../../../src/render/guard.ts';
import { threadTimeMs } from '../../support/thread-time.ts';

const bytesOf = (text: string): Uint8Array => Buffer.from(text);

function dataOf(json: string): Promise<Data> {
  const content = {
    kind: 'document',
    bytes: bytesOf(json),
    name: 'a.json',
    contentType: null,
    pointer: null,
  } as const;
  return readData({ revision: '1', content }, { keysAs: 'string', allowEmpty: false, source: 'S' });
}

async function refusal(check: Promise<void>): Promise<string> {
  try {
    await check;
  } catch (thrown) {
    if (thrown instanceof SidecarError) return `${thrown.stage} ${thrown.code}: ${thrown.message}`;
    throw thrown;
  }
  return 'accepted';
}

const guard = async (json: string, guards: Partial<DataGuards>) =>
  refusal(guardData(await dataOf(json), { requiredKeys: [], schema: null, ...guards }));

const schemaOf = (schema: unknown, path = '/etc/schema.json') => ({
  path,
  bytes: bytesOf(typeof schema === 'string' ? schema : JSON.stringify(schema)),
});

describe('required keys', () => {
  it('that are missing are all named, and the data is refused', async () => {
    const json = '{"db":{"host":null,"list":["x"]},"empty":""}';
    expect(await guard(json, { requiredKeys: ['db/host', '/db', 'db/list/0', 'empty'] })).toBe('accepted');
    expect(await guard(json, { requiredKeys: ['db/port'] })).toBe(
      'validate guard.required: Cannot accept "S": a required key is missing: db/port',
    );
    expect(
      await guard(json, {
        requiredKeys: ['db/port', 'db/host', 'toString', 'db/list/1', 'empty/length', 'db/list/length'],
      }),
    ).toBe(
      'validate guard.required: Cannot accept "S": required keys are missing: db/port, toString, db/list/1, empty/length, db/list/length',
    );
  });
});

describe('the schema', () => {
  const schema = {
    type: 'object',
    required: ['host'],
    additionalProperties: false,
    properties: {
      host: { type: 'string' },
      port: { type: 'integer', maximum: 65535 },
      tags: { items: { enum: ['a'] }, uniqueItems: true },
    },
  };

  it('reports every violation with its path, and no value', async () => {
    expect(await guard('{"host":"h","port":80,"tags":["a"]}', { schema: schemaOf(schema) })).toBe('accepted');
    expect(await guard('{"port":"s3cret","tags":["s3cret"],"extra":1}', { schema: schemaOf(schema) })).toBe(
      'validate guard.schema: Cannot accept "S": it violates the schema "/etc/schema.json": ' +
        '/ must have required property \'host\'; / must NOT have additional properties (has "extra"); ' +
        '/port must be integer; /tags/0 must be equal to one of the allowed values',
    );
  });

  it('takes integers beyond 2^53 and compares maps', async () => {
    const wants = { properties: { n: { type: 'integer' }, list: { uniqueItems: true } } };
    expect(await guard('{"n":9007199254740993,"list":[{"a":1},{"a":2}]}', { schema: schemaOf(wants) })).toBe(
      'accepted',
    );
    expect(await guard('{"list":[{"a":1},{"a":1}]}', { schema: schemaOf(wants) })).toContain(
      '/list must NOT have duplicate items',
    );
  });

  it('may be of a newer draft, or YAML', async () => {
    const newer = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      properties: { a: { prefixItems: [{ type: 'string' }] } },
    };
    expect(await guard('{"a":[1]}', { schema: schemaOf(newer) })).toContain('/a/0 must be string');
    const older = {
      $schema: 'https://json-schema.org/draft/2019-09/schema',
      dependentRequired: { a: ['b'] },
    };
    expect(await guard('{"a":1}', { schema: schemaOf(older) })).toContain(
      'must have property b when property a is present',
    );
    expect(await guard('{"a":1}', { schema: schemaOf('required: [b]\n', '/s.yaml') })).toContain(
      'it violates the schema "/s.yaml"',
    );
  });

  it.each([
    ['http://json-schema.org/draft-06/schema#', '/a must be string'],
    ['http://json-schema.org/draft-07/schema#', '/a must be string'],
    ['https://json-schema.org/draft-07/schema', '/a must be string'],
    ['https://json-schema.org/draft/2019-09/schema', '/a must be string'],
    ['https://json-schema.org/draft/2020-12/schema', '/a must be string'],
    [
      'http://json-schema.org/draft-04/schema#',
      'guard.schema-file: Cannot use the schema "/etc/schema.json": its "$schema" is not one of draft-06, draft-07, 2019-09 and 2020-12',
    ],
  ])('of draft %s is understood, or refused by name', async ($schema, message) => {
    const schema = { $schema, properties: { a: { type: 'string' } } };
    expect(await guard('{"a":1}', { schema: schemaOf(schema) })).toContain(message);
  });

  it.each([
    ['(a+)+$', `${'a'.repeat(50_000)}!`, false],
    ['^(\\w|\\s)*$', `${'a '.repeat(50_000)}!`, false],
    ['^\\p{Lu}[a-zé]+$', 'École', true],
    ['^\\u0041$', 'A', true],
  ])('has a pattern %s, which is searched for in linear time', async (pattern, text, fits) => {
    const before = threadTimeMs();
    const outcome = await guard(JSON.stringify({ a: text }), {
      schema: schemaOf({ properties: { a: { pattern } }, patternProperties: { '^(b+)+$': false } }),
    });
    expect(threadTimeMs() - before).toBeLessThan(2_000);
    if (fits) expect(outcome).toBe('accepted');
    else expect(outcome).toContain(`/a must match pattern "${pattern}"`);
  });

  it('is refused for a pattern that needs more than linear time', async () => {
    expect(await guard('{}', { schema: schemaOf({ properties: { a: { pattern: '^(?!b)' } } }) })).toBe(
      'validate guard.schema-file: Cannot use the schema "/etc/schema.json": the pattern "^(?!b)" cannot be used: it looks ahead or behind ("(?=", "(?!", "(?<=", "(?<!")',
    );
  });

  it('finds what is there twice among many, whatever the order of keys, without comparing all with all', async () => {
    const items = Array.from({ length: 50_000 }, (_, n) => ({ a: n, b: [n] }));
    const schema = schemaOf({ uniqueItems: true });
    const before = threadTimeMs();
    expect(await guard(JSON.stringify(items), { schema })).toBe('accepted');
    expect(await guard(JSON.stringify([...items, { b: [7], a: 7 }]), { schema })).toContain(
      '/ must NOT have duplicate items (items ## 7 and 50000 are identical)',
    );
    expect(threadTimeMs() - before).toBeLessThan(4_000);
    for (const json of ['[1,"1",true,null,[],{},[1],["1"],"[1]"]', '[[1,1]]', '[{"a":1},{"b":1}]']) {
      expect(await guard(json, { schema })).toBe('accepted');
    }
    expect(await guard('[1,1.0]', { schema })).toContain('duplicate items');
    expect(await guard('[1,1]', { schema: schemaOf({ uniqueItems: false }) })).toBe('accepted');
  });

  it('of thousands of violations lists fifty, and how many more there are', async () => {
    const json = JSON.stringify(Array.from({ length: 60 }, () => 'x'));
    const message = await guard(json, { schema: schemaOf({ items: { type: 'number' } }) });
    expect(message).toContain('/49 must be number; and 10 more');
    expect(message).not.toContain('/50 ');
  });

  it.each([
    [
      '{"type": }',
      'Cannot use the schema "/etc/schema.json": line 1, column 10: unexpected text where a value is expected',
    ],
    [
      '{"type":"strnig"}',
      'Cannot use the schema "/etc/schema.json": schema is invalid: data/type must be equal to one of the allowed values, data/type must be array, data/type must match a schema in anyOf',
    ],
    [
      '{"$ref":"http://example.invalid/s"}',
      'Cannot use the schema "/etc/schema.json": can\'t resolve reference http://example.invalid/s from id #',
    ],
    ['[]', 'Cannot use the schema "/etc/schema.json": schema is invalid: data must be object,boolean'],
  ])('%s is refused itself', async (text, message) => {
    expect(await guard('{}', { schema: schemaOf(text) })).toBe(`validate guard.schema-file: ${message}`);
  });
});

describe('a rendered file', () => {
  const check = (name: string, text: string, format?: 'json' | 'raw', source: string | null = null) =>
    refusal(
      guardFiles(
        createGeneration(
          [
            { name: 'ok.json', bytes: bytesOf('{}') },
            { name, bytes: bytesOf(text) },
          ],
          { mode: 0o644, owner: null },
        ),
        format,
        source,
      ),
    );

  it.each([
    [
      'a.json',
      '{"a":1,}',
      'validate guard.parse: Cannot accept the rendered file "a.json": it is not valid JSON: line 1, column 8: unexpected text where a key in double quotes is expected',
    ],
    [
      'd/a.yml',
      'a: [1',
      'validate guard.parse: Cannot accept the rendered file "d/a.yml": it is not valid YAML: line 1, column 6: unexpected end of the stream within a flow collection',
    ],
    [
      'a.toml',
      'a = 1\na',
      'validate guard.parse: Cannot accept the rendered file "a.toml": it is not valid TOML: line 2, column 1: incomplete key-value: cannot find end of key',
    ],
    ['a.yaml', 'a: !Ref b\n---\nc: 1\n', 'accepted'],
    ['a.conf', '{"a":1,}', 'accepted'],
    ['a.ini', 'no ini', 'accepted'],
  ])('%s must parse: %j', async (name, text, outcome) => {
    expect(await check(name, text)).toBe(outcome);
  });

  it('is checked as FORMAT says, whatever its name', async () => {
    expect(await check('a.conf', '{', 'json')).toBe(
      'validate guard.parse: Cannot accept the rendered file "a.conf": it is not valid JSON: line 1, column 2: the text ends where a key in double quotes is expected',
    );
    expect(await check('a.json', '{', 'raw')).toBe('accepted');
  });

  it('that is the source itself is named as the source, where it can be mended', async () => {
    expect(await check('a.json', '{', 'json', '/srv/source.json')).toBe(
      'validate guard.parse: Cannot accept "/srv/source.json" as "a.json": it is not valid JSON: line 1, column 2: the text ends where a key in double quotes is expected',
    );
  });
});
