// INI, dotenv and properties: a value is read back exactly by readers that are not ours, or it is refused. Nothing breaks out of its line.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEnv, serialiseEnv } from '../../../../src/render/document/env.ts';
import { FormatError, showPath } from '../../../../src/render/document/format-error.ts';
import { parseIni, serialiseIni } from '../../../../src/render/document/ini.ts';
import { parseProperties, serialiseProperties } from '../../../../src/render/document/properties.ts';
import { isMap, leavesOf, scalarText, type Value } from '../../../../src/render/document/value.ts';
import {
  readWithInih,
  readWithJavaRules,
  readWithPython,
  readWithShell,
  seen,
} from '../../../support/fixtures/readers.ts';
import { flatMap, map, scalar, text } from '../../../support/render/document/generate.ts';

const RUNS = 500;
/** Reads with the parser of systemd's environment files. */
const SYSTEMD = '30-systemd-environment-d-generator';
const names = fc.oneof(fc.constantFrom('a', 'b', 'c.d', 'host', 'Host', 'k e y', 'x-y', 'é'), text);
const hostile = fc.oneof(
  flatMap({ keys: names, values: scalar({ withNull: false }) }),
  flatMap({ keys: fc.constantFrom('a', 'b', 'c', 'd'), values: text }),
);

/** Those of the values that the format takes, with what was written. */
function written(
  values: readonly Value[],
  write: (value: Value) => string,
): { value: Value; text: string }[] {
  const taken = values.flatMap((value) => {
    try {
      return [{ value, text: write(value) }];
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(FormatError);
      return [];
    }
  });
  // A writer that refuses everything would pass all that follows.
  expect(taken.length).toBeGreaterThan(values.length / 20);
  return taken;
}

function faultOf(write: (value: Value) => string, value: Value): string {
  try {
    return write(value);
  } catch (thrown) {
    if (!(thrown instanceof FormatError)) throw thrown;
    return `${showPath(thrown.path ?? [])}: ${thrown.message}`;
  }
}

/** The sections with their texts, as configparser reads them; what stands before the first is `top`. */
function sectionsOf(value: Value, path: readonly string[] = []): [string, Record<string, string>][] {
  if (!isMap(value)) return [];
  const own = Object.entries(value).filter(([, item]) => !isMap(item));
  const texts = Object.fromEntries(own.map(([key, item]) => [key, scalarText(item, [])]));
  const needed = path.length === 0 || own.length > 0 || Object.keys(value).length === 0;
  const deeper = Object.entries(value).flatMap(([key, item]) => sectionsOf(item, [...path, key]));
  return needed ? [[path.length === 0 ? 'top' : path.join('.'), texts], ...deeper] : deeper;
}

describe('INI', () => {
  it('is read back equal by configparser and by inih, or refused', async () => {
    const cases = written(fc.sample(hostile, RUNS), serialiseIni).filter(
      ({ value }) => !(isMap(value) && 'top' in value),
    );
    const read = await readWithPython(
      'ini',
      cases.map((one) => one.text),
    );
    for (const [index, { value, text: file }] of cases.entries()) {
      const sections = sectionsOf(value);
      expect({ file, seen: read[index] }).toEqual({ file, seen: seen(Object.fromEntries(sections)) });
      const flat = sections.flatMap(([section, keys]) =>
        Object.entries(keys).map(([key, item]) => [`${section}\n${key}`, item] as const),
      );
      expect({ file, seen: readWithInih(file) }).toEqual({ file, seen: new Map(flat) });
    }
  });

  it('is read back equal by ourselves', () => {
    const cases = fc.sample(flatMap({ keys: fc.constantFrom('a', 'b', 'c', 'd'), values: text }), RUNS);
    for (const { value, text: file } of written(cases, serialiseIni)) {
      expect({ file, seen: seen(parseIni(file)) }).toEqual({ file, seen: seen(value) });
    }
  });

  it('has single values first, then a section for each map, with deeper ones joined by dots', () => {
    const value = { debug: true, db: { host: 'h', pool: { size: 5, empty: '' } }, none: {}, port: 80 };
    expect(serialiseIni(value)).toBe(
      'debug = true\nport = 80\n\n[db]\nhost = h\n\n[db.pool]\nsize = 5\nempty =\n\n[none]\n',
    );
  });

  it.each<[Value, string]>([
    [{ a: 'x\nb = 1' }, 'a: it holds a line break, which this format cannot carry safely'],
    [{ a: 'x\r[b]' }, 'a: it holds the control character U+000D, which this format cannot carry safely'],
    [{ a: ' x' }, 'a: its value begins or ends with a blank, which readers cut'],
    [{ a: 'x ; y' }, 'a: its value holds ";" or "#" where some readers begin a comment'],
    [{ a: '#x' }, 'a: its value holds ";" or "#" where some readers begin a comment'],
    [{ 'a=b': '1' }, 'a=b: its name holds "=" or ":", which ends a key'],
    [{ '[a': '1' }, '[a: its name begins like a section'],
    [{ '': '1' }, ': a key is empty'],
    [{ a: { '': { b: 1 } } }, 'a/: a part of its name is empty'],
    [{ 'a]': { b: 1 } }, 'a]: a bracket in a section name is read differently by readers'],
    [{ DEFAULT: { b: 1 } }, 'DEFAULT: a section named DEFAULT is special to some readers'],
    [{ a: { b: { c: 1 } }, 'a.b': { d: 1 } }, 'a.b: it would be the same section as "a/b"'],
    [{ a: [1] }, 'a: it is a list, which this format cannot hold'],
    [{ a: { b: null } }, 'a/b: it is null, which this format cannot express'],
    [{ a: Number.NaN }, 'a: it is not a finite number, which this format cannot express'],
    [['a'], '/: an INI document is a map'],
  ])('refuses %j', (value, message) => {
    expect(faultOf(serialiseIni, value)).toBe(message);
  });
});

describe('dotenv', () => {
  it('is read back exactly by a shell, without a variable more, or refused', () => {
    const cases = written(fc.sample(hostile, RUNS), serialiseEnv);
    const read = readWithShell(cases.map((one) => one.text));
    for (const [index, { value, text: file }] of cases.entries()) {
      const expected = leavesOf(value, { lists: false }).map(({ path, value: leaf }) => {
        const name = path.join('_').replace(/\W/g, '_');
        return [/^\d/.test(name) ? `_${name}` : name, scalarText(leaf, path)];
      });
      expect({ file, seen: read[index] }).toEqual({ file, seen: Object.fromEntries(expected) });
      expect(file.split('\n').length - 1).toBe(expected.length);
      expect({ file, seen: seen(parseEnv(file)) }).toEqual({
        file,
        seen: seen(Object.fromEntries(expected)),
      });
    }
  });

  it('has harmless values bare, which every reader reads the same way: sh, bash, systemd, and Docker, which knows no quotes', () => {
    const harmless = fc.string({
      unit: fc.constantFrom(...'abXYZ019_@%+:,./=-'),
      minLength: 1,
      maxLength: 20,
    });
    const values = fc.sample(harmless, 200);
    const file = serialiseEnv(Object.fromEntries(values.map((value, n) => [`N${n}`, value])));
    const expected = values.map((value, n) => `N${n}=${value}`);
    expect(file.trimEnd().split('\n')).toEqual(expected);
    const directory = mkdtempSync(join(tmpdir(), 'env-'));
    try {
      mkdirSync(join(directory, 'environment.d'));
      writeFileSync(join(directory, 'environment.d/1.conf'), file);
      const shells = ['sh', 'bash'].map((shell) => {
        const program = `set -a; . ${join(directory, 'environment.d/1.conf')}; exec env`;
        return execFileSync(shell, ['-c', program], { encoding: 'utf8', env: { PATH: process.env['PATH'] } });
      });
      const systemd = execFileSync(SYSTEMD, {
        encoding: 'utf8',
        env: { ...process.env, XDG_CONFIG_HOME: directory },
      });
      for (const read of [...shells, systemd])
        expect(read.split('\n')).toEqual(expect.arrayContaining(expected));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('quotes what a shell would take for something else, and joins the parts of a path', () => {
    const value = { db: { host: 'h', 'pass-word': "it's", x: `it's $5` }, '9lives': true, empty: '' };
    expect(serialiseEnv(value)).toBe(
      `db_host=h\ndb_pass_word="it's"\ndb_x='it'\\''s $5'\n_9lives=true\nempty=\n`,
    );
  });

  it.each<[Value, string]>([
    [{ a: 'x\nEVIL=1' }, 'a: it holds a line break, which this format cannot carry safely'],
    [{ a: '\u0000' }, 'a: it holds the control character U+0000, which this format cannot carry safely'],
    [{ a: { 'b-c': 1, b_c: 2 } }, 'a/b_c: it would be the same variable "a_b_c" as "a/b-c"'],
    [{ '-': 1 }, '-: its name has no character that a variable may have'],
    [{ a: [1] }, 'a: it is a list, which this format cannot hold'],
    [{ a: null }, 'a: it is null, which this format cannot express'],
    ['a', '/: a dotenv document is a map'],
  ])('refuses %j', (value, message) => {
    expect(faultOf(serialiseEnv, value)).toBe(message);
  });
});

describe('properties', () => {
  const keys = fc.oneof(fc.constantFrom('a', 'b', 'c d', 'e=f', '#g', '!h', 'i:j', '\\'), text);

  it('is read back exactly by the rules of java.util.Properties, or refused', () => {
    const values = fc.sample(map({ withNull: false, keys }), RUNS);
    for (const { value, text: file } of written(values, serialiseProperties)) {
      const expected = leavesOf(value, { lists: true }).map(
        ({ path, value: leaf }) => [path.join('.'), scalarText(leaf, path)] as const,
      );
      expect({ file, seen: readWithJavaRules(file) }).toEqual({ file, seen: new Map(expected) });
    }
  });

  it('is read back equal by ourselves', () => {
    const plain = fc.constantFrom('a', 'b', 'c d', 'e=f', '#g', '!h', 'i:j', '\\');
    for (const { value, text: file } of written(
      fc.sample(flatMap({ keys: plain, values: text }), RUNS),
      serialiseProperties,
    )) {
      const full = Object.fromEntries(
        Object.entries(value ?? {}).filter(([, item]) => !isMap(item) || Object.keys(item).length > 0),
      );
      expect({ file, seen: seen(parseProperties(file)) }).toEqual({ file, seen: seen(full) });
    }
  });

  it('numbers the items of a list and writes ASCII only', () => {
    const value = { a: { 'b c': ' é😀' }, list: ['x', { y: 'one\ntwo' }], none: [] };
    expect(serialiseProperties(value)).toBe(
      'a.b\\ c=\\ \\u00E9\\uD83D\\uDE00\nlist.0=x\nlist.1.y=one\\ntwo\n',
    );
  });

  it.each<[Value, string]>([
    [{ a: 'x\u001b' }, 'a: it holds the control character U+001B, which this format cannot carry safely'],
    [{ a: { b: 1 }, 'a.b': 2 }, 'a.b: it would be the same key "a.b" as "a/b"'],
    [{ a: null }, 'a: it is null, which this format cannot express'],
    [1, '/: a properties document is a map'],
  ])('refuses %j', (value, message) => {
    expect(faultOf(serialiseProperties, value)).toBe(message);
  });
});
