// Reading documents: what is understood, what is refused, and that no error quotes what may be a secret.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkDocument, parseDocument, serialiseDocument } from '../../../../src/render/document/document.ts';
import {
  formatOfContentType,
  formatOfName,
  type ParsedFormat,
} from '../../../../src/render/document/format.ts';
import { describeFormatError, FormatError, showPath } from '../../../../src/render/document/format-error.ts';
import { resolvePointer } from '../../../../src/render/document/pointer.ts';
import type { Value } from '../../../../src/render/document/value.ts';
import { seen } from '../../../support/fixtures/readers.ts';
import { threadTimeMs } from '../../../support/thread-time.ts';

const bytesOf = (text: string): Uint8Array => Buffer.from(text);

async function read(format: ParsedFormat, text: string | Uint8Array): Promise<Value | string> {
  try {
    return await parseDocument(typeof text === 'string' ? bytesOf(text) : text, format);
  } catch (thrown) {
    if (!(thrown instanceof FormatError)) throw thrown;
    return `${thrown.path === null ? '' : `${showPath(thrown.path)}: `}${describeFormatError(thrown)}`;
  }
}

describe('a broken document', () => {
  it.each<[ParsedFormat, string | Uint8Array, string]>([
    ['json', '', 'line 1, column 1: the text ends where a value is expected'],
    ['json', '{"secret": tru}', 'line 1, column 12: unexpected text where a value is expected'],
    [
      'json',
      '{\n  "a": 1\n  "b": 2\n}',
      'line 3, column 3: unexpected text where a comma or a closing brace is expected',
    ],
    ['json', '{"a": 1,}', 'line 1, column 9: unexpected text where a key in double quotes is expected'],
    ['json', '{"a" 1}', 'line 1, column 6: unexpected text where a colon is expected'],
    ['json', '[1 2]', 'line 1, column 4: unexpected text where a comma or a closing bracket is expected'],
    ['json', '1 2', 'line 1, column 3: unexpected text where the end is expected'],
    ['json', '"secret', 'line 1, column 8: a string is not closed'],
    ['json', '"sec\nret"', 'line 1, column 5: a string holds a control character that is not escaped'],
    ['json', '["\\x"]', 'line 1, column 2: this string has an escape that JSON does not know'],
    ['json', '{"a": 1,\n "a": 2}', 'line 2, column 2: this key appears twice'],
    ['json', '"\\ud800"', 'line 1, column 1: this string has half of a surrogate pair'],
    ['json', '1e999', 'line 1, column 1: this number is too large'],
    ['json', '['.repeat(200), 'line 1, column 102: it is nested deeper than 100 levels'],
    ['json', new Uint8Array([0x22, 0xff, 0x22]), 'it is not UTF-8 text'],
    ['yaml', 'a: 1\n b: secret\n', 'line 2, column 3: bad indentation of a mapping entry'],
    ['yaml', 'a: 1\na: secret', 'line 2, column 1: duplicated mapping key'],
    ['yaml', 'a: 1\n---\nb: 2\n', 'it holds several YAML documents; only one can be used'],
    ['yaml', 'a: *secret', 'line 1, column 5: unidentified alias'],
    ['yaml', 'a: !secret 1', 'line 1, column 4: unknown scalar tag'],
    ['yaml', 'a: "\\ud800"', 'a text at "a" has half of a surrogate pair'],
    ['yaml', '['.repeat(200), 'line 1, column 100: nesting exceeded maxDepth (100)'],
    ['toml', 'a = 1\nb = secret\n', 'line 2, column 5: invalid value'],
    ['toml', 'a = 1\na = 2\n', 'line 2, column 1: trying to redefine an already defined table or value'],
    [
      'ini',
      'a = 1\nsecret\n',
      'line 2, column 1: a line is neither "key = value", "[section]" nor a comment',
    ],
    [
      'ini',
      'a = 1\n  secret = 2\n',
      'line 2, column 1: a line begins with a blank, which some readers take for a continuation',
    ],
    ['ini', '[a]\nb = 1\nb = 2\n', 'line 3, column 1: this key or section appears twice'],
    ['ini', 'a = 1\n[a]\nb = 1\n', 'a: the key "a" is both a value and a folder ("a.…")'],
    ['env', 'A=1\nsecret\n', 'line 2, column 1: a line is neither "NAME=value" nor a comment'],
    ['env', 'A=1\nA=2\n', 'line 2, column 1: this name appears twice'],
    ['env', "A='secret\n", 'line 1, column 1: a quote is not closed on its line, or something follows it'],
    ['properties', 'a=1\na=2', 'line 2, column 1: this key appears twice'],
    ['properties', 'a=\\u00g0', 'line 1, column 1: "\\u" is not followed by four hexadecimal digits'],
    ['properties', 'a=\\ud800', 'line 1, column 1: a text has half of a surrogate pair'],
    ['properties', 'a=1\na.b=2', 'a: the key "a" is both a value and a folder ("a.…")'],
  ])('of %s, %j, is refused with its place', async (format, text, message) => {
    expect(await read(format, text)).toBe(message);
  });

  it('never has its content quoted, whatever is broken', async () => {
    const formats = fc.constantFrom<ParsedFormat>('json', 'yaml', 'toml', 'ini', 'env', 'properties');
    const noise = fc.array(
      fc.constantFrom(
        's3cret',
        ' ',
        '\n',
        ':',
        '"',
        "'",
        '{',
        '[',
        '&',
        '*',
        '!',
        '=',
        ',',
        '-',
        '|',
        '%',
        '\\',
        '<',
      ),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(formats, noise, async (format, parts) => {
        const result = await parseDocument(bytesOf(parts.join('')), format).catch(
          (thrown: unknown) => thrown,
        );
        // Keys that clash are named: names are no secrets.
        const clash =
          result instanceof FormatError &&
          /value and a folder|is given twice|part of the key/.test(result.message);
        if (result instanceof Error && !clash) expect(result.message).not.toContain('s3cret');
      }),
      { numRuns: 1500 },
    );
  });

  it('of YAML whose aliases explode is refused instead of filling the memory', async () => {
    const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
    for (let n = 1; n < 9; n += 1)
      lines.push(
        `a${n}: &a${n} [${Array(10)
          .fill(`*a${n - 1}`)
          .join(',')}]`,
      );
    expect(await read('yaml', lines.join('\n'))).toBe('it holds more than 2000000 values; make it smaller');
  });
});

describe('a document', () => {
  it.each<[ParsedFormat, string, Value]>([
    ['json', '\ufeff{"a": 1}', { a: 1 }],
    [
      'json',
      ' [9007199254740993, -9007199254740993, 9007199254740991, 1.5e3, -0.5] ',
      [9007199254740993n, -9007199254740993n, 9007199254740991, 1500, -0.5],
    ],
    ['yaml', '', null],
    ['yaml', '# nothing\n', null],
    [
      'yaml',
      'base: &b {x: 1}\nmine:\n  <<: *b\n  y: no\nbig: 9007199254740993\nminus: -9007199254740993\nday: 2020-01-01\n',
      {
        base: { x: 1 },
        mine: { x: 1, y: 'no' },
        big: 9007199254740993n,
        minus: -9007199254740993n,
        day: '2020-01-01',
      },
    ],
    ['toml', 'a = 9007199254740993\n[b.c]\nd = ["x"]\n', { a: 9007199254740993n, b: { c: { d: ['x'] } } }],
    [
      'ini',
      '; c\na = 1\n# c\n[s.t]\nb: x = y\r\nc=\n[e]\n',
      { a: '1', s: { t: { b: 'x = y', c: '' } }, e: {} },
    ],
    [
      'env',
      `# c\nA=1\nexport B='it'\\''s'\nC="x\\ny \\$z" # c\nD=plain text # c\nE=\nF=a#b`,
      { A: '1', B: "it's", C: 'x\ny $z', D: 'plain text', E: '', F: 'a#b' },
    ],
    [
      'properties',
      '# c\n! c\n\na.b = 1\n  c\\ d : x\\\n    y\ne\nf\\u00e9=\\u00e9\\t\n',
      { a: { b: '1' }, 'c d': 'xy', e: '', fé: 'é\t' },
    ],
  ])('of %s, %j, is understood', async (format, text, value) => {
    const result = await read(format, text);
    expect(typeof result === 'string' ? result : seen(result)).toEqual(seen(value));
  });

  it.each<[ParsedFormat, string]>([
    ['json', '{"__proto__": {"x": "1"}, "constructor": "2"}'],
    ['yaml', '__proto__: {x: "1"}\nconstructor: "2"\n'],
    ['toml', 'constructor = "2"\n[__proto__]\nx = "1"\n'],
    ['ini', 'constructor = 2\n[__proto__]\nx = 1\n'],
    ['properties', 'constructor=2\n__proto__.x=1\n'],
  ])('of %s may have keys that mean something in JavaScript, and pollutes nothing', async (format, text) => {
    const value = await read(format, text);
    const expected = {
      map: [
        ['__proto__', { map: [['x', '1']] }],
        ['constructor', '2'],
      ],
    };
    expect(seen(value)).toEqual(expected);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
    const back = await parseDocument(await serialiseDocument(value, format), format);
    expect(seen(back)).toEqual(expected);
  });

  it('of 10,000 keys is written as JSON in milliseconds', async () => {
    const value = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, n) => [`key${n}`, { value: `value ${n}` }]),
    );
    const times: number[] = [];
    for (let run = 0; run < 5; run += 1) {
      // Processor time: two noisy cores make wall time say little.
      const start = threadTimeMs();
      await serialiseDocument(value, 'json');
      times.push(threadTimeMs() - start);
    }
    expect(Math.min(...times)).toBeLessThan(200);
  });
});

describe('writing', () => {
  it.each<[ParsedFormat, Value, string]>([
    [
      'json',
      { a: [1, Number.POSITIVE_INFINITY] },
      'a/1: it is not a finite number, which JSON cannot express',
    ],
    ['toml', { a: { b: null } }, 'a/b: it is null, which TOML cannot express'],
    ['toml', { a: [2n ** 63n] }, 'a/0: it is an integer beyond 64 bits, which TOML cannot express'],
    ['toml', ['a'], '/: a TOML document is a map'],
  ])('%s refuses what it cannot say', async (format, value, message) => {
    const fault = await serialiseDocument(value, format).catch((thrown: unknown) => thrown);
    expect(fault instanceof FormatError && `${showPath(fault.path ?? [])}: ${fault.message}`).toBe(message);
  });
});

describe('the parse check', () => {
  it('takes several YAML documents and tags of an application', async () => {
    await checkDocument(
      bytesOf('a: !Ref x\nb: !Sub [1]\nc: !Map {d: 1}\nd: !<tag:example.org,2000:x> 1\n---\nb: 2\n'),
      'yaml',
    );
    await checkDocument(
      bytesOf('a: !!binary eA==\nb: !!timestamp 2020-01-01\nc: !!set {x: }\nd: !!str 1\n'),
      'yaml',
    );
    await checkDocument(bytesOf('not = looked = at'), 'ini');
  });

  it('finds what no reader can read', async () => {
    await expect(checkDocument(bytesOf('a: [1'), 'yaml')).rejects.toThrow(
      'unexpected end of the stream within a flow collection',
    );
    await expect(checkDocument(bytesOf('a: 1\na: 2'), 'yaml')).rejects.toThrow('duplicated mapping key');
  });
});

describe('the format', () => {
  it.each([
    ['app.json', 'json'],
    ['/etc/APP.YML', 'yaml'],
    ['a.yaml', 'yaml'],
    ['a.toml', 'toml'],
    ['a.ini', 'ini'],
    ['a.env', 'env'],
    ['.env', 'env'],
    ['x/.env.local', 'env'],
    ['a.properties', 'properties'],
    ['nginx.conf', undefined],
    ['json', undefined],
    ['a.json.bak', undefined],
  ])('of the name %s is %s', (name, format) => {
    expect(formatOfName(name)).toBe(format);
  });

  it.each([
    ['application/json', 'json'],
    ['application/vnd.api+json', 'json'],
    ['application/yaml', 'yaml'],
    ['text/x-yaml', 'yaml'],
    ['application/toml', 'toml'],
    ['text/x-java-properties', 'properties'],
    ['text/plain', undefined],
    ['json', undefined],
  ])('of the content type %s is %s', (type, format) => {
    expect(formatOfContentType(type)).toBe(format);
  });
});

describe('a JSON Pointer', () => {
  // The document and the cases of RFC 6901, section 5.
  const document = { foo: ['bar', 'baz'], '': 0, 'a/b': 1, 'c%d': 2, 'm~n': 8 };

  it.each<[string, Value]>([
    ['', document],
    ['/foo', ['bar', 'baz']],
    ['/foo/0', 'bar'],
    ['/', 0],
    ['/a~1b', 1],
    ['/c%d', 2],
    ['/m~0n', 8],
  ])('"%s" leads to its part', (pointer, value) => {
    expect(resolvePointer(document, pointer)).toEqual(value);
  });

  it.each([
    ['foo', 'a JSON Pointer begins with "/" (RFC 6901)'],
    ['/m~n', '"~" stands for itself only as "~0" (RFC 6901)'],
    ['/nope', 'there is no "nope" in "/"'],
    ['/foo/2', 'there is no "2" in "/foo"'],
    ['/foo/00', 'there is no "00" in "/foo"'],
    ['/foo/-', 'there is no "-" in "/foo"'],
    ['/foo/0/x', 'there is no "x" in "/foo/0"'],
    ['/toString', 'there is no "toString" in "/"'],
  ])('"%s" is refused', (pointer, message) => {
    const map = Object.assign(Object.create(null) as Record<string, Value>, document);
    expect(() => resolvePointer(map, pointer)).toThrow(message);
  });
});
