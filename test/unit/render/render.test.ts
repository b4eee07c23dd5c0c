// Rendering: which bytes a snapshot becomes, under which names, and what is refused as a whole.
import { describe, expect, it } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import { readData } from '../../../src/render/data.ts';
import { titleOf } from '../../../src/render/document/format.ts';
import { type RenderOptions, render } from '../../../src/render/render.ts';
import type { TemplateSet } from '../../../src/render/template/set.ts';
import type { Content } from '../../../src/source/provider.ts';
import { threadTimeMs } from '../../support/thread-time.ts';

const bytesOf = (text: string): Uint8Array => Buffer.from(text);

const treeOf = (pairs: Readonly<Record<string, string | Uint8Array>>): Content => ({
  kind: 'tree',
  entries: Object.entries(pairs).map(([key, value]) => ({
    key,
    value: typeof value === 'string' ? bytesOf(value) : value,
  })),
});

const documentOf = (text: string, name = 'app.json', pointer: string | null = null): Content => ({
  kind: 'document',
  bytes: bytesOf(text),
  name,
  contentType: null,
  pointer,
});

const OPTIONS: RenderOptions = {
  output: { kind: 'file', path: '/config/app.json' },
  format: undefined,
  mode: 0o640,
  owner: null,
  templateEnv: {},
  maxBytes: 1_000_000,
};
const file = (path: string, more: Partial<RenderOptions> = {}) => ({
  output: { kind: 'file', path } as const,
  ...more,
});
const DIRECTORY = { output: { kind: 'directory', path: '/config' } } as const;

const setOf = (files: Readonly<Record<string, string>>, main?: string): TemplateSet => ({
  kind: main === undefined ? 'directory' : 'file',
  ...(main === undefined ? {} : { main }),
  files: Object.entries(files).map(([name, text]) => ({ name, bytes: bytesOf(text) })),
});

async function generate(
  content: Content,
  options: Partial<RenderOptions> = {},
  templates: TemplateSet | null = null,
) {
  const data = await readData(
    { revision: 'r1', content },
    { keysAs: 'string', allowEmpty: true, source: 'S' },
  );
  return render(data, templates, { ...OPTIONS, ...options });
}

/** The files by name, as text, or the refusal. */
async function outcome(
  content: Content,
  options: Partial<RenderOptions> = {},
  templates: TemplateSet | null = null,
) {
  try {
    const { files } = await generate(content, options, templates);
    return Object.fromEntries(files.map(({ name, bytes }) => [name, Buffer.from(bytes).toString()]));
  } catch (thrown) {
    if (thrown instanceof SidecarError) return `${thrown.stage} ${thrown.code}: ${thrown.message}`;
    throw thrown;
  }
}

describe('a file without a template', () => {
  it('has the very bytes of a document in the same format', async () => {
    const text = '{"b" : 1,\r\n\t"a":1.0 }';
    expect(await outcome(documentOf(text))).toEqual({ 'app.json': text });
    expect(await outcome(documentOf('# note\na:  1', 'x.yml'), file('/c/app.yaml'))).toEqual({
      'app.yaml': '# note\na:  1',
    });
    const generation = await generate(documentOf(text));
    expect([generation.mode, generation.owner, generation.rendering.slice(0, 7)]).toEqual([
      0o640,
      null,
      'sha256:',
    ]);
  });

  it('has the exact bytes of a document in an unknown format, or with FORMAT=raw', async () => {
    expect(await outcome(documentOf('user nginx;', 'nginx'), file('/c/nginx.conf'))).toEqual({
      'nginx.conf': 'user nginx;',
    });
    expect(await outcome(documentOf('{ }'), file('/c/a.yaml', { format: 'raw' }))).toEqual({
      'a.yaml': '{ }',
    });
  });

  it.each([
    ['/c/a.json', undefined, '{\n  "db": {\n    "host": "h",\n    "port": "80"\n  },\n  "x": "é"\n}\n'],
    ['/c/a.yml', undefined, "db:\n  host: h\n  port: '80'\nx: é\n"],
    ['/c/a.toml', undefined, 'x = "é"\n\n[db]\nhost = "h"\nport = "80"\n'],
    ['/c/a.ini', undefined, 'x = é\n\n[db]\nhost = h\nport = 80\n'],
    ['/c/.env', undefined, "db_host=h\ndb_port=80\nx='é'\n"],
    ['/c/a.properties', undefined, 'db.host=h\ndb.port=80\nx=\\u00E9\n'],
    ['/c/a.json', 'properties', 'db.host=h\ndb.port=80\nx=\\u00E9\n'],
    ['/c/settings', 'json', '{\n  "db": {\n    "host": "h",\n    "port": "80"\n  },\n  "x": "é"\n}\n'],
  ] as const)('%s (FORMAT %s) is a tree, serialised', async (path, format, text) => {
    const tree = treeOf({ x: 'é', 'db/port': '80', 'db/host': 'h' });
    expect(Object.values(await outcome(tree, file(path, { format })))).toEqual([text]);
  });

  it('is another format, or a part, of a document', async () => {
    expect(await outcome(documentOf('{"b":9007199254740993,"a":true}'), file('/c/a.yaml'))).toEqual({
      'a.yaml': 'b: 9007199254740993\na: true\n',
    });
    expect(await outcome(documentOf('{"web":{"a":1},"x":2}', 'app.json', '/web'))).toEqual({
      'app.json': '{\n  "a": 1\n}\n',
    });
    expect(
      await outcome(documentOf('{"script":"return 1"}', 'app.json', '/script'), file('/c/a.lua')),
    ).toEqual({ 'a.lua': 'return 1' });
  });

  it.each([
    ['/c/a.json', '{\n  "day": "2020-01-01"\n}\n'],
    ['/c/a.yaml', "day: '2020-01-01'\n"],
    ['/c/a.env', 'day=2020-01-01\n'],
  ])('%s has the dates of TOML as text', async (path, text) => {
    expect(Object.values(await outcome(documentOf('day = 2020-01-01', 'a.toml'), file(path)))).toEqual([
      text,
    ]);
  });

  it('never begins with a byte order mark, whatever it is made of', async () => {
    const mark = '\ufeff';
    for (const name of ['app.json', 'nginx.conf', 'app.yaml']) {
      expect(await outcome(documentOf(`${mark}{}`, name), file(`/c/${name}`))).toEqual({ [name]: '{}' });
    }
    expect(await outcome(treeOf({ a: `${mark}x`, b: `x${mark}` }), DIRECTORY)).toEqual({
      a: 'x',
      b: `x${mark}`,
    });
    const template = setOf({ 'a.liquid': `${mark}{{ a }}`, 'b.txt': `${mark}x`, 'c.liquid': '{{ d }}' });
    const content = documentOf(`{"a":"x","d":"${mark}y"}`);
    expect(await outcome(content, DIRECTORY, template)).toEqual({ a: 'x', 'b.txt': 'x', c: 'y' });
    const bytes = new Uint8Array([0xef, 0xbb, 0xbf, 0xff]);
    const { files } = await generate(treeOf({ a: bytes }), DIRECTORY);
    expect(files[0]?.bytes).toEqual(bytes);
  });

  const DECIMALS = ['1.10', '1.0', '0.00000001', '1e3', '1E-9', '-0.0', '0.1234567890123456789', '1.5'];

  it.each(['json', 'toml', 'ini', 'env', 'properties'])(
    'has decimals as they were written, as %s',
    async (format) => {
      const from = {
        json: `{${DECIMALS.map((text, n) => `"k${n}":${text}`)}}`,
        yaml: DECIMALS.map((text, n) => `k${n}: ${text}\n`).join(''),
        toml: `${DECIMALS.map((text, n) => `k${n} = ${text}`).join('\n')}\n[t.1.0]\n"a\\"1.10" = ["1.10", '1.10'] # 1.10\n`,
      };
      for (const [name, text] of Object.entries(from)) {
        const options = { format: format as 'json' };
        const made = Object.values(await outcome(documentOf(text, `a.${name}`), file('/c/x', options)));
        if (name === 'toml' && format !== 'json' && format !== 'toml') continue;
        if (name !== format)
          for (const decimal of DECIMALS) expect(made[0]).toMatch(new RegExp(`[:= ]${decimal}[,\n]`));
      }
    },
  );

  it('has decimals as they were written in a template, by a pointer, and with KEYS_AS=json', async () => {
    const inside = `{"p":{"v":1.10,"w":[1.0]}}`;
    expect(await outcome(documentOf(inside, 'a.json', '/p'), file('/c/a.yaml'))).toEqual({
      'a.yaml': 'v: 1.10\nw:\n  - 1.0\n',
    });
    const toml = documentOf('[p]\nv = 1_0.50\nw = { x = +1e-8, y = [ 1.10, 2 ] }', 'a.toml', '/p');
    expect(await outcome(toml, file('/c/a.toml'))).toEqual({
      'a.toml': 'v = 10.50\n\n[w]\nx = 1e-8\ny = [ 1.10, 2 ]\n',
    });
    const template = setOf(
      {
        'm.liquid':
          '{{ v }} {{ v | plus: 1 }} {{ v | append: "x" }} {% if v > 1 and v == 1.1 and v < 1.2 %}y{% endif %} {{ v | json }} {{ l | sort | join: "," }} {{ l | uniq | size }} {{ l | sum }} {{ v | round }} {{ v | toml }} {{ v | yaml }} {{ v | shell }}',
      },
      'm.liquid',
    );
    expect(await outcome(documentOf('{"v":1.10,"l":[2.50,1.0,1.0]}'), file('/c/o'), template)).toEqual({
      o: "1.10 2.1 1.10x y 1.10 1.0,1.0,2.50 2 4.5 1 1.10 1.10 '1.10'",
    });
    const data = await readData(
      { revision: '1', content: treeOf({ a: '1.10', b: '1e-8', c: '{"d":1.0}' }) },
      { keysAs: 'json', allowEmpty: true, source: 'S' },
    );
    expect(Buffer.from((await render(data, null, OPTIONS)).files[0]?.bytes ?? []).toString()).toBe(
      '{\n  "a": 1.10,\n  "b": 1e-8,\n  "c": {\n    "d": 1.0\n  }\n}\n',
    );
  });

  it('refuses an integer of YAML that others read as octal, unless it is only passed on', async () => {
    const reason =
      'an integer begins with 0, which some readers take for octal; put it in quotes, or write 0o in front of an octal number';
    for (const text of ['mode: 0644', 'mode: -07', 'mode: 0899']) {
      expect(await outcome(documentOf(text, 'a.yaml'))).toBe(
        `render render.document: Cannot read document "a.yaml" of "S" as YAML: ${reason}`,
      );
      expect(await outcome(documentOf(text, 'a.yaml'), file('/c/a.yaml'))).toEqual({ 'a.yaml': text });
    }
    expect(await outcome(documentOf('{a: "0644", b: 0o644, c: 0, d: -0, e: 00.5}', 'a.yaml'))).toEqual({
      'app.json': '{\n  "a": "0644",\n  "b": 420,\n  "c": 0,\n  "d": 0,\n  "e": 0.5\n}\n',
    });
  });

  it('is empty when there is nothing', async () => {
    expect(await outcome({ kind: 'nothing' })).toEqual({ 'app.json': '{}\n' });
    expect(await outcome({ kind: 'nothing' }, file('/c/nginx.conf'))).toEqual({ 'nginx.conf': '' });
    expect(await outcome({ kind: 'nothing' }, DIRECTORY)).toEqual({});
  });

  it.each<[Content, Partial<RenderOptions>, string]>([
    [
      treeOf({ a: '1' }),
      file('/c/nginx.conf'),
      'render.format: Cannot write "S" to "/c/nginx.conf" as it is: it is a tree of keys; give FORMAT (json, yaml, toml, ini, env, properties), an OUTPUT with such an extension, or a TEMPLATE',
    ],
    [
      documentOf('{"a":{}}', 'a.json', '/a'),
      file('/c/a'),
      'render.format: Cannot write "S" to "/c/a" as it is: it is part of a document, and no text; give FORMAT (json, yaml, toml, ini, env, properties), an OUTPUT with such an extension, or a TEMPLATE',
    ],
    [
      documentOf('x', 'a.bin'),
      {},
      'render.format: Cannot look into document "a.bin" of "S": its name does not say what it is; set SOURCE_FORMAT (json, yaml, toml, ini, env, properties, text, bytes), or give it a name that ends in .json, .yaml, .yml, .toml, .ini, .env or .properties',
    ],
    ...(['json', 'yaml', 'toml', 'ini', 'env', 'properties'] as const).map(
      (format): [Content, Partial<RenderOptions>, string] => [
        treeOf({ 'a/b': new Uint8Array([0xff]) }),
        { format },
        `render.value: Cannot write "a/b" of "S" as ${titleOf(format)}: it is not UTF-8 text; publish it as a file, or write it with the filter base64`,
      ],
    ),
    [
      treeOf({ 'db/password': 'a\nEVIL=1' }),
      file('/c/.env'),
      'render.value: Cannot write "db/password" of "S" as dotenv: it holds a line break, which this format cannot carry safely',
    ],
    [
      documentOf('{"a":null}'),
      file('/c/a.toml'),
      'render.value: Cannot write "a" of "S" as TOML: it is null, which TOML cannot express',
    ],
    [
      documentOf('[1]'),
      file('/c/a.ini'),
      'render.value: Cannot write "/" of "S" as INI: an INI document is a map',
    ],
    [
      treeOf({ db: '1', 'db/host': '2' }),
      {},
      'render.key: Cannot use the keys of "S": the key "db" is both a value and a folder ("db/…")',
    ],
    [
      documentOf('{"a":"0123456789"}'),
      { maxBytes: 10 },
      'render.too-large: Cannot render "/config/app.json": the files together are larger than 10 bytes; raise MAX_SIZE',
    ],
  ])('is refused: %#', async (content, options, message) => {
    expect(await outcome(content, options)).toBe(`render ${message}`);
  });
});

it('counts what the outputs before have taken, and names the bound of all', async () => {
  const full = { maxBytes: 12, usedBytes: 5 };
  expect(await outcome(documentOf('{"a":1}'), full)).toEqual({ 'app.json': '{"a":1}' });
  expect(await outcome(documentOf('{"a":12}'), full)).toBe(
    'render render.too-large: Cannot render "/config/app.json": the files together are larger than 12 bytes; raise MAX_SIZE',
  );
});

describe('a directory without a template', () => {
  it('has a file with the exact bytes of each value, sub-directories for slashes', async () => {
    const binary = new Uint8Array([0, 0xff, 10]);
    const { files } = await generate(treeOf({ 'conf.d/b.conf': 'x', a: binary, __proto__x: '' }), DIRECTORY);
    expect(files.map(({ name, bytes }) => [name, [...bytes]])).toEqual([
      ['__proto__x', []],
      ['a', [0, 0xff, 10]],
      ['conf.d/b.conf', [120]],
    ]);
  });

  it.each([
    ['../x', '"../x" leaves the directory'],
    ['a/../../x', '"a/../../x" leaves the directory'],
    ['a/../x', '"a/../x" leaves the directory'],
    ['..', '".." leaves the directory'],
    ['/x', '"/x" is an absolute path'],
    ['..data', '"..data" begins with "..", which the directory keeps for itself'],
    ['..data/x', '"..data/x" begins with "..", which the directory keeps for itself'],
    ['a\0b', '"a\\u0000b" holds a NUL'],
    ['', '"" is empty'],
    ['a//b', '"a//b" has an empty part'],
    ['a/', '"a/" has an empty part'],
    ['a/./b', '"a/./b" has a part "."'],
    ['é'.repeat(150), `"${'é'.repeat(150)}" has a part longer than 255 bytes`],
    [
      Array(400).fill('0123456789').join('/'),
      `"${Array(400).fill('0123456789').join('/').slice(0, 199)}…" makes too long a path`,
    ],
  ])('refuses everything because of the one name %j', async (name, reason) => {
    expect(await outcome(treeOf({ good: '1', [name]: '2' }), DIRECTORY)).toBe(
      `render render.name: Cannot write the files of "/config": the name ${reason}; nothing was written`,
    );
  });

  it('refuses a name that is a file and a folder', async () => {
    expect(await outcome(treeOf({ x: '1', 'x.d': '', 'x/y': '2' }), DIRECTORY)).toBe(
      'render render.name: Cannot write the files of "/config": the name "x" is both a file and a folder ("x/y"); nothing was written',
    );
  });

  it('has a file for each text, number and boolean of a map, as the document writes them', async () => {
    const text =
      '{"a": "x\\n", "n": 1.10, "big": 12345678901234567890, "on": true, "sub": {"deep": {"b.conf": "y"}, "none": {}}}';
    expect(await outcome(documentOf(text), DIRECTORY)).toEqual({
      ...{ a: 'x\n', n: '1.10', big: '12345678901234567890', on: 'true' },
      'sub/deep/b.conf': 'y',
    });
    expect(await outcome(documentOf('a: x\nd: {e: 0o17}\n', 'app.yaml'), DIRECTORY)).toEqual({
      a: 'x',
      'd/e': '15',
    });
  });

  it('takes a slash in the key of a map for a sub-directory, as in a tree', async () => {
    expect(await outcome(documentOf('{"conf.d/a": "1"}'), DIRECTORY)).toEqual({ 'conf.d/a': '1' });
    expect(await outcome(documentOf('{"d/a": "1", "d": {"a": "2"}}'), DIRECTORY)).toBe(
      'render render.name: Cannot write the files of "/config": the name "d/a" is given twice; nothing was written',
    );
  });

  it.each([
    [
      '[1]',
      'app.json',
      'render.shape',
      'it is one document that is not a map, and not a tree of keys; make OUTPUT a file (no trailing slash), or give a TEMPLATE',
    ],
    [
      'no map',
      'app.conf',
      'render.shape',
      'it is one document that is not a map, and not a tree of keys; make OUTPUT a file (no trailing slash), or give a TEMPLATE',
    ],
    [
      '{"a": {"b": [1]}}',
      'app.json',
      'render.value',
      'no file can be made of "a/b" of "S": it is a list, and a file holds one text, number or boolean; or give a TEMPLATE',
    ],
    [
      '{"a": null}',
      'app.json',
      'render.value',
      'no file can be made of "a" of "S": it is null, and a file holds one text, number or boolean; or give a TEMPLATE',
    ],
  ])('refuses the document %j', async (text, name, code, reason) => {
    expect(await outcome(documentOf(text, name), DIRECTORY)).toBe(
      `render ${code}: Cannot write "S" to the directory "/config": ${reason}`,
    );
  });

  it('is emptied by a map without entries only where that is allowed', async () => {
    expect(await outcome(documentOf('{}'), DIRECTORY)).toBe(
      'render source.empty: Cannot write "S" to the directory "/config": it is a map without entries, which would remove every file; set ALLOW_EMPTY=true where that is meant',
    );
    expect(await outcome(documentOf('{}'), { ...DIRECTORY, allowEmpty: true })).toEqual({});
  });

  it('gives a file the mode of the last glob that matches its name, in any folder', async () => {
    const modes = [
      { glob: '*.key', mode: 0o600 },
      { glob: 'public/**', mode: 0o644 },
      { glob: 'tls/[ab].key', mode: 0o640 },
    ];
    const names = ['a.key', '.hidden.key', 'tls/a.key', 'tls/c.key', 'public/x/y.key', 'tls/c.crt'];
    const { files, mode } = await generate(treeOf(Object.fromEntries(names.map((name) => [name, '']))), {
      ...DIRECTORY,
      modes,
    });
    expect(Object.fromEntries(files.map((one) => [one.name, (one.mode ?? mode).toString(8)]))).toEqual({
      ...{ 'a.key': '600', '.hidden.key': '600', 'tls/a.key': '640', 'tls/c.key': '600' },
      ...{ 'public/x/y.key': '644', 'tls/c.crt': '640' },
    });
  });

  it('is another rendering with other modes', async () => {
    const tree = treeOf({ 'a.key': '1' });
    const plain = await generate(tree, DIRECTORY);
    const other = await generate(tree, { ...DIRECTORY, modes: [{ glob: '*.key', mode: 0o600 }] });
    const same = await generate(tree, { ...DIRECTORY, modes: [{ glob: '*.key', mode: 0o640 }] });
    expect(other.rendering).not.toBe(plain.rendering);
    expect(same.rendering).toBe(plain.rendering);
  });
});

describe('a template', () => {
  const show = (template: string, content: Content, options: Partial<RenderOptions> = {}) =>
    outcome(
      content,
      { ...file('/c/out.conf'), ...options },
      setOf({ 'main.liquid': template, 'p.liquid': 'P' }, 'main.liquid'),
    );

  it('sees the names of the data, and the data as a whole', async () => {
    const tree = treeOf({ 'db/host': 'h', 'db-x/y': '2', a: '1' });
    expect(await show('{{ db.host }} {{ sidecar.data["db-x"].y }} {% include "p" %}', tree)).toEqual({
      'out.conf': 'h 2 P',
    });
    expect(await show('{% for e in sidecar.entries %}{{ e.key }}={{ e.value }};{% endfor %}', tree)).toEqual({
      'out.conf': 'a=1;db-x/y=2;db/host=h;',
    });
    expect(await show('{{ sidecar.data[1] }}{{ sidecar.entries[0].key }}', documentOf('["x","y"]'))).toEqual({
      'out.conf': 'y0',
    });
    expect(await show('{{ sidecar.revision }} {{ sidecar.digest | slice: 0, 7 }}', tree)).toEqual({
      'out.conf': 'r1 sha256:',
    });
    expect(
      await show('{{ when }} {{ sidecar.entries[0].value }}', documentOf('when = 2020-01-01', 'a.toml')),
    ).toEqual({ 'out.conf': '2020-01-01 2020-01-01' });
  });

  it('sees the variables of TEMPLATE_ENV and no others; one that is not set is missing', async () => {
    const templateEnv = { POD: 'web-0', UNSET: undefined };
    expect(await show('{{ sidecar.env.POD }}', treeOf({}), { templateEnv })).toEqual({ 'out.conf': 'web-0' });
    for (const name of ['UNSET', 'PATH']) {
      expect(await show(`{{ sidecar.env.${name} }}`, treeOf({}), { templateEnv })).toBe(
        `render render.template: Cannot render template "main.liquid": line 1: the variable "sidecar.env.${name}" is missing; add the key, or give it a default`,
      );
    }
  });

  it('is refused over data that has a "sidecar" of its own', async () => {
    expect(await show('x', treeOf({ 'sidecar/x': '1' }))).toBe(
      'render render.reserved: Cannot render a template over "S": the data has a key "sidecar" at its top, and that name is reserved for what the sidecar knows about the data; rename the key',
    );
  });

  it('is refused over data that cannot be looked into', async () => {
    expect(await show('x', documentOf('x', 'a.bin'))).toContain(
      'render render.format: Cannot look into document "a.bin" of "S"',
    );
  });

  it('may be rendered over a tree with a value that is not text, as long as it does not print that', async () => {
    const tree = treeOf({ a: '1', 'keys/store': new Uint8Array([0xff, 0]) });
    expect(await show('{{ a }} {{ keys.store | base64 }}', tree)).toEqual({ 'out.conf': '1 /wA=' });
    const reason = 'it is not UTF-8 text; publish it as a file, or write it with the filter base64';
    const printing = [
      '{{ keys.store }}',
      '{{ keys | json }}',
      '{{ keys.store | yaml }}',
      '{{ keys.store | toml }}',
    ];
    for (const template of [...printing, '{{ keys.store | shell }}']) {
      expect([template, await show(template, tree)]).toEqual([
        template,
        `render render.template: Cannot render template "main.liquid": line 1: ${reason}`,
      ]);
    }
    expect(await show('{{ keys.store.get }}', tree)).toContain('"keys.store.get" is missing');
  });

  it('may make one file of a directory', async () => {
    expect(
      await outcome(
        treeOf({ a: '1' }),
        DIRECTORY,
        setOf({ 'nginx.conf.liquid': '{{ a }}' }, 'nginx.conf.liquid'),
      ),
    ).toEqual({ 'nginx.conf': '1' });
  });

  it('is rendered to the same bytes every time', async () => {
    const templates = setOf({
      'a.liquid': '{% increment n %}{{ a | json }}',
      'b.liquid': '{% increment n %}{{ n }}',
    });
    const tree = treeOf({ a: '1', n: 'x' });
    const first = await generate(tree, DIRECTORY, templates);
    expect((await generate(tree, DIRECTORY, templates)).rendering).toBe(first.rendering);
    expect(await outcome(tree, DIRECTORY, templates)).toEqual({ a: '0"1"', b: '01' });
  });
});

describe('a directory of templates', () => {
  it('makes a file of every template, copies other files, and leaves partials and left-overs of editors out', async () => {
    const templates = setOf({
      'nginx.conf.liquid': '{% include "_head" %}{% include "_parts/x" %}{{ a }}',
      'conf.d/site.conf.liquid': '{{ a }}',
      'mime.types': '{{ not a template }}',
      '_head.liquid': 'H',
      '_parts/x.liquid': 'X',
      '.hidden.liquid': '{{ no }}',
      '.git/config': '',
      'nginx.conf.liquid~': '{{ no }}',
      '#nginx.conf.liquid#': '{{ no }}',
    });
    expect(await outcome(treeOf({ a: '1' }), DIRECTORY, templates)).toEqual({
      'nginx.conf': 'HX1',
      'conf.d/site.conf': '1',
      'mime.types': '{{ not a template }}',
    });
  });

  it.each<[Record<string, string>, Partial<RenderOptions>, string]>([
    [
      { 'a.conf.liquid': '', 'a.conf': '' },
      DIRECTORY,
      'render.duplicate-output: Cannot render the file "a.conf": both "a.conf" and "a.conf.liquid" make it; remove one of them',
    ],
    [
      { '_a.liquid': '' },
      DIRECTORY,
      'render.template: Cannot render to the directory "/config": no template in the directory makes a file; names end in ".liquid" and do not begin with "_"',
    ],
    [
      { 'a.liquid': '' },
      file('/c/x'),
      'render.shape: Cannot render a directory of templates to the file "/c/x": make OUTPUT a directory (with a trailing slash), or TEMPLATE a file',
    ],
    [
      { 'a.liquid': '', 'a/b.liquid': '' },
      DIRECTORY,
      'render.name: Cannot write the files of "/config": the name "a" is both a file and a folder ("a/b"); nothing was written',
    ],
    [
      { 'ok.liquid': 'x', 'bad.liquid': '\n{{ nope }}' },
      DIRECTORY,
      'render.template: Cannot render template "bad.liquid": line 2: the variable "nope" is missing; add the key, or give it a default',
    ],
    [
      { 'ok.liquid': 'x', 'bad.liquid': '\n{{ nope }}', 'worse.liquid': '{{ none' },
      DIRECTORY,
      'render.template: Cannot render template "bad.liquid": line 2: the variable "nope" is missing; add the key, or give it a default. Cannot render template "worse.liquid": line 1: output "{{ none" not closed',
    ],
  ])('is refused: %#', async (files, options, message) => {
    expect(await outcome(treeOf({ a: '1' }), options, setOf(files))).toBe(`render ${message}`);
  });
});

describe('a template for each entry of a map', () => {
  const VHOSTS = documentOf(
    '{"vhosts": {"a.example": {"port": 1}, "b": {"port": 2}}, "port": 9, "deep": {"x": {"k": "v"}}}',
  );

  it('makes a file of each, which sees the entry and everything else', async () => {
    const templates = setOf({
      'sites/{vhosts}.conf.liquid': '{{ entry.key }} {{ entry.value.port }} of {{ port }}',
      '{deep.x}.liquid': '{{ entry.value }}',
      'all.liquid': '{% for one in vhosts %}{{ one[0] }} {% endfor %}',
      '{vhosts}.txt': 'copied',
    });
    expect(await outcome(VHOSTS, DIRECTORY, templates)).toEqual({
      ...{ 'sites/a.example.conf': 'a.example 1 of 9', 'sites/b.conf': 'b 2 of 9', k: 'v' },
      ...{ all: 'a.example b ', '{vhosts}.txt': 'copied' },
    });
  });

  it('makes none where the map has no entry; and one template file for a directory does the same', async () => {
    const templates = setOf({ '{vhosts}.conf.liquid': '{{ entry.key }}' }, '{vhosts}.conf.liquid');
    expect(await outcome(documentOf('{"vhosts": {}}'), DIRECTORY, templates)).toEqual({});
    expect(await outcome(VHOSTS, DIRECTORY, templates)).toEqual({
      'a.example.conf': 'a.example',
      'b.conf': 'b',
    });
  });

  it.each<[string, Record<string, string>, string]>([
    [
      '{"other": {}}',
      {},
      'render.template: Cannot render template "{vhosts}.conf.liquid": the variable "vhosts" is missing; add the key, or give the template another name',
    ],
    [
      '{"vhosts": ["a"]}',
      {},
      'render.template: Cannot render template "{vhosts}.conf.liquid": "vhosts" is no map, so its entries have no names',
    ],
    [
      '{"vhosts": {"a/b": 1}}',
      {},
      'render.name: Cannot make a file of each entry by "{vhosts}.conf": the key "a/b" is no file name; rename the key',
    ],
    [
      '{"vhosts": {"..": 1}}',
      {},
      'render.name: Cannot make a file of each entry by "{vhosts}.conf": the key ".." is no file name; rename the key',
    ],
    [
      '{"vhosts": {"": 1}}',
      {},
      'render.name: Cannot make a file of each entry by "{vhosts}.conf": an entry has an empty key; rename the key',
    ],
    [
      '{"vhosts": {"..a": 1}}',
      {},
      'render.name: Cannot write the files of "/config": the name "..a.conf" begins with "..", which the directory keeps for itself; nothing was written',
    ],
    [
      '{"vhosts": {"main": 1}}',
      { 'main.conf.liquid': '' },
      'render.duplicate-output: Cannot render the file "main.conf": an entry and another template both make it; rename one of them',
    ],
    [
      '{"vhosts": {"a": 1}, "entry": 1}',
      {},
      'render.reserved: Cannot render a template for each entry over "S": the data has a key "entry" at its top, and there that name is reserved for the entry; rename the key',
    ],
    [
      '{"vhosts": {"a": {}}}',
      { '{vhosts}.conf.liquid': '{{ entry.value.port }}' },
      'render.template: Cannot render template "{vhosts}.conf.liquid": line 1: the variable "entry.value.port" is missing; add the key, or give it a default',
    ],
  ])('is refused: %#', async (text, more, message) => {
    const templates = setOf({ '{vhosts}.conf.liquid': 'x', ...more });
    expect(await outcome(documentOf(text), DIRECTORY, templates)).toBe(`render ${message}`);
  });

  it('of ten thousand entries takes no longer than a second or two', async () => {
    const vhosts = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`site${n}`, { port: n }]));
    const before = threadTimeMs();
    const made = await outcome(
      documentOf(JSON.stringify({ vhosts })),
      DIRECTORY,
      setOf({ '{vhosts}.conf.liquid': 'server {{ entry.key }} {{ entry.value.port }}' }),
    );
    expect(Object.keys(made)).toHaveLength(10_000);
    expect(threadTimeMs() - before).toBeLessThan(6_000);
  });
});

describe('speed', () => {
  it('of a tree of 10,000 keys is a matter of milliseconds, and would show anything quadratic', async () => {
    const tree = treeOf(
      Object.fromEntries(
        Array.from({ length: 10_000 }, (_, n) => [`app/group${n % 100}/key${n}`, `value ${n}`]),
      ),
    );
    const times: number[] = [];
    for (let run = 0; run < 5; run += 1) {
      // Processor time: two noisy cores make wall time say little.
      const start = threadTimeMs();
      await generate(tree);
      times.push(threadTimeMs() - start);
    }
    expect(Math.min(...times)).toBeLessThan(400);
  });
});
