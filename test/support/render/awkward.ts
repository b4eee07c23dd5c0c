// Text that is made to take long, and everything of ours that reads text from outside.
import { Liquid } from 'liquidjs';
import { SidecarError } from '../../../src/lib/errors.ts';
import { loadRegExps } from '../../../src/lib/linear-regexp.ts';
import { maskUrl } from '../../../src/lib/mask.ts';
import { checkAtOnce, parseAtOnce, serialiseAtOnce } from '../../../src/render/document/at-once.ts';
import { FormatError } from '../../../src/render/document/format-error.ts';
import { resolvePointer } from '../../../src/render/document/pointer.ts';
import { createMap } from '../../../src/render/document/value.ts';
import { compileSchema, violationsIn } from '../../../src/render/schema.ts';
import { createFilters } from '../../../src/render/template/filters.ts';
import { openTemplates } from '../../../src/render/template/template.ts';

/** Characters that some reader looks at twice, and short beginnings of what may follow. */
export const AWKWARD: readonly string[] = [
  ...[...' \t\n\r"\'\\=:#;!,.-_/*&|>%@`~^+0a{}[]()<$?\0\u0085\u2028\ufeff\u{1f600}'],
  ...[
    'a=',
    'a:\n',
    '- ',
    '"""',
    '{{',
    '[[a]]\n',
    '\\\n',
    '&a ',
    '*a ',
    '!a ',
    '{"a":',
    '<script',
    '0.',
    '1e',
    ' #',
    '\r\n',
  ],
];

/** A part as often as it fits into a length. */
export const repeated = (part: string, length: number): string =>
  part.repeat(Math.floor(length / part.length));

/** Text of every pair: one again and again with the other at its end, and both in turn. */
export function* pairs(length: number): Generator<string, void, void> {
  for (const one of AWKWARD) {
    for (const other of AWKWARD) {
      yield repeated(one, length) + other;
      yield repeated(one + other, length);
    }
  }
}

const FORMATS = ['json', 'yaml', 'toml', 'ini', 'env', 'properties'] as const;

/** One thing that reads a text. It may refuse it, with a FormatError or an error of ours. */
export interface Reader {
  readonly name: string;
  readonly read: (text: string) => unknown;
}

/** The parsers, the checks and the writers of every format, pointers, masks and what searches. */
export async function readers(): Promise<readonly Reader[]> {
  const compile = await loadRegExps();
  const schema = await compileSchema({
    properties: {
      text: { pattern: '^(a+)+$|(?:\\s|\\S)*x$', maxLength: 9, enum: ['x'], not: { const: 'y' } },
    },
    patternProperties: { '^(.*)*$': {} },
    propertyNames: { pattern: '^(\\w+\\s?)*$' },
    additionalProperties: false,
  });
  const unique = await compileSchema({ uniqueItems: true, items: { uniqueItems: true } });
  return [
    ...FORMATS.map((format) => ({
      name: `parse ${format}`,
      read: (text: string) => parseAtOnce(text, format),
    })),
    ...(['json', 'yaml', 'toml'] as const).map((format) => ({
      name: `check ${format}`,
      read: (text: string) => checkAtOnce(text, format),
    })),
    ...FORMATS.map((format) => ({
      name: `write ${format}`,
      read: (text: string) => serialiseAtOnce({ [text]: text, list: { text } }, format),
    })),
    { name: 'pointer', read: (text) => resolvePointer({ a: [text] }, text) },
    { name: 'mask', read: (text) => maskUrl(`http://u:${text}@h/${text}`) },
    { name: 'search', read: (text) => compile('^(?:(a|b)*\\s*)*$', { multiline: true }).exec(text) },
    { name: 'schema', read: (text) => violationsIn(schema, { text, [text]: text }) },
    { name: 'unique items', read: (text) => violationsIn(unique, [...rows(text)]) },
  ];
}

function* rows(text: string): Generator<unknown> {
  for (let n = 0; n < Math.min(20_000, text.length); n += 1) yield [n, text.charAt(n)];
  yield text;
}

/** Every filter of a template, with the text as its input, and as its argument where it takes one. */
export async function filters(): Promise<readonly Reader[]> {
  const names = new Set([...Object.keys(new Liquid().filters), ...Object.keys(createFilters(null))]);
  const calls = [...names].flatMap((name) => [`x | ${name}`, `x | ${name}: x`, `x | ${name}: "a", x`]);
  return Promise.all(
    calls.map(async (call) => {
      const render = await openTemplates(new Map([['main', `{{ ${call} }}`]]), {
        maxBytes: 64 * 1024 * 1024,
      });
      const scopeOf = (x: string) => Object.assign(createMap() as Record<string, unknown>, { x });
      return { name: call, read: (text: string) => render('main', scopeOf(text)) };
    }),
  );
}

/** Reads a text, and says how much processor time that took. Whatever is thrown but a refusal is thrown on. */
export async function costMs({ name, read }: Reader, text: string): Promise<number> {
  const before = process.cpuUsage();
  try {
    await read(text);
  } catch (thrown) {
    if (!(thrown instanceof FormatError || thrown instanceof SidecarError)) {
      throw new Error(`${name} throws on ${JSON.stringify(text.slice(0, 80))}`, { cause: thrown });
    }
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** The readers that took more processor time than `mostMs` for one of the texts, with that text. */
export async function slow(
  all: readonly Reader[],
  texts: Iterable<string>,
  mostMs: number,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const text of texts) {
    for (const reader of all) {
      const ms = await costMs(reader, text);
      if (ms > mostMs) found.push(`${reader.name}: ${ms} ms for ${JSON.stringify(text.slice(0, 12))}`);
    }
  }
  return found;
}
