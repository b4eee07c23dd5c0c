// What the built program loads only when it is needed works there too: a bundler makes other modules of the same packages.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const PLACE = mkdtempSync(join(tmpdir(), 'built-'));
afterAll(() => rmSync(PLACE, { recursive: true }));

interface Run {
  readonly status: number | null;
  readonly log: string;
  readonly output: string;
}

let runs = 0;

/** `once` of the built program over one document. */
function once(files: Readonly<Record<string, string>>, settings: Readonly<Record<string, string>>): Run {
  runs += 1;
  const place = join(PLACE, `${runs}`);
  mkdirSync(place);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(place, name), text);
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'dist/main.js'), 'once'], {
    cwd: place,
    encoding: 'utf8',
    env: { LISTEN: 'off', ONCE_TIMEOUT: '20s', ...settings },
  });
  const output = settings['OUTPUT'] ?? '';
  const written = readdirSync(place).includes(output.replace('./', ''));
  return { status, log: stdout + stderr, output: written ? readFileSync(join(place, output), 'utf8') : '' };
}

describe('the built program', () => {
  it.each([
    ['draft-06', { $schema: 'http://json-schema.org/draft-06/schema#', required: ['b'] }],
    [
      'draft-07',
      { $schema: 'http://json-schema.org/draft-07/schema#', not: { maxProperties: 1 }, required: ['b'] },
    ],
    [
      'draft 2019-09',
      {
        $schema: 'https://json-schema.org/draft/2019-09/schema',
        dependentRequired: { a: ['b'] },
        unevaluatedProperties: true,
      },
    ],
    [
      'draft 2020-12',
      {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        $dynamicAnchor: 'n',
        required: ['b'],
        properties: { list: { prefixItems: [{ type: 'string', pattern: '^x+$' }], uniqueItems: true } },
      },
    ],
  ])('checks data by a schema of %s', (_draft, schema) => {
    const files = {
      'schema.json': JSON.stringify(schema),
      'good.json': '{"a":1,"b":2}',
      'bad.json': '{"a":1}',
    };
    const settings = { SCHEMA: './schema.json', OUTPUT: './out.json' };
    expect(once(files, { ...settings, SOURCE: './good.json' })).toMatchObject({
      status: 0,
      output: '{"a":1,"b":2}',
    });
    const bad = once(files, { ...settings, SOURCE: './bad.json' });
    expect(bad).toMatchObject({ status: 4, output: '' });
    expect(bad.log).toContain('it violates the schema');
    expect(bad.log).toMatch(/property '?b/);
    expect(bad.log).not.toContain('constructor');
  });

  it.each(['json', 'yaml', 'toml', 'ini', 'env', 'properties'])(
    'reads %s and writes every format',
    (format) => {
      const texts = {
        json: '{"A":"1"}',
        yaml: 'A: "1"',
        toml: 'A = "1"',
        ini: 'A=1',
        env: 'A=1',
        properties: 'A=1',
      };
      const files = { config: texts[format as keyof typeof texts] };
      for (const to of Object.keys(texts)) {
        const settings = { SOURCE: './config', SOURCE_FORMAT: format, OUTPUT: `./out.${to}` };
        const { status, output } = once(files, settings);
        expect([to, status]).toEqual([to, 0]);
        expect(output).toMatch(/A.*1/s);
      }
    },
  );

  it('has every filter in its templates', () => {
    const template = `{% assign y = "a: [x]" | parse_yaml %}{% assign j = '{"b":2}' | parse_json -%}
{{ y | yaml }} {{ y | toml }} {{ j | json }} {{ "x" | base64 }} {{ "it's" | shell }} {{ j.b | nginx }}`;
    const files = { 'data.json': '{}', 't.liquid': template };
    expect(
      once(files, { SOURCE: './data.json', TEMPLATE: './t.liquid', OUTPUT: './out.conf' }),
    ).toMatchObject({
      status: 0,
      output: `{"a": ['x']} { a = ["x"] } {"b":2} eA== 'it'\\''s' "2"`,
    });
  });
});

describe('a package that is loaded when it is needed', () => {
  /** `const { name, name: other } = await import('package')` */
  const LAZY = /const \{([^}]*)\} = await import\('([^'.][^']*)'\)/g;
  const used = ['src', 'providers'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => [...readFileSync(join(ROOT, folder, name), 'utf8').matchAll(LAZY)])
      .map(([, names = '', from = '']) => ({
        from,
        names: names.split(',').map((one) => one.split(':')[0]?.trim()),
      })),
  );

  it('has the names we use, once it is bundled', async () => {
    expect(used.map(({ from }) => from)).toEqual(
      expect.arrayContaining(['axios', 'consul', 'js-yaml', 're2js', 'ajv/dist/2020.js', 'ajv/dist/2019.js']),
    );
    const lines = used.map(
      ({ from, names }) =>
        `{ const m = await import('${from}'); for (const name of ${JSON.stringify(names)}) console.log('${from}', name, typeof m[name]); }`,
    );
    // Beside the packages, so that it finds them.
    const entry = join('.cache', `lazy-${process.pid}.ts`);
    writeFileSync(join(ROOT, entry), lines.join('\n'));
    const folder = join(PLACE, 'lazy');
    execFileSync(process.execPath, ['build.mjs', 'into', folder, entry], { cwd: ROOT });
    rmSync(join(ROOT, entry));
    const main = join(folder, `lazy-${process.pid}.js`);
    const printed = execFileSync(process.execPath, [main], { encoding: 'utf8' });
    expect(printed.split('\n').filter((line) => line.endsWith(' undefined'))).toEqual([]);
    expect(printed).toContain('js-yaml load function');
  });
});
