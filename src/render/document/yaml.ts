// YAML through js-yaml: read as 1.2, written so that readers of 1.1 understand the same. Loads the library: import it only when needed.
import {
  CORE_SCHEMA,
  DEFAULT_SCALAR_STYLE_RULES,
  DUMP_SCHEMA,
  type DumpOptions,
  defineMappingTag,
  defineScalarTag,
  defineSequenceTag,
  dump,
  floatCoreTag,
  intCoreTag,
  intYaml11Tag,
  loadAll,
  mapTag,
  mergeTag,
  NOT_RESOLVED,
  SCALAR_STYLE,
  type ScalarStyleRule,
  seqTag,
  strTag,
  YAMLException,
} from 'js-yaml';
import { maxValues, tooManyValues } from './budget.ts';
import { FormatError } from './format-error.ts';
import { Bytes, Decimal, exactNumber } from './special.ts';
import { createMap, isList, isMap, MAX_DEPTH, notText, toValue, type Value } from './value.ts';

/** A number with more digits than any reader of numbers keeps apart. */
const MAX_DIGITS = 400;

/**
 * Integers beyond 2^53 stay exact. One with a leading zero is refused: YAML 1.2 reads `0644` as 644, YAML 1.1, which
 * most other programs read, as 420.
 */
const intTag = {
  ...intCoreTag,
  resolve(source: string, isExplicit: boolean, tagName: string) {
    const rounded = intCoreTag.resolve(source, isExplicit, tagName);
    if (rounded === NOT_RESOLVED) return rounded;
    if (/^[-+]?0\d/.test(source)) throw new FormatError(LEADING_ZERO);
    if (Number.isSafeInteger(rounded)) return rounded;
    if (source.length > MAX_DIGITS) throw new FormatError('a number is too large');
    return source.startsWith('-') ? -BigInt(source.slice(1)) : BigInt(source.replace('+', ''));
  },
};

const LEADING_ZERO =
  'an integer begins with 0, which some readers take for octal; put it in quotes, or write 0o in front of an octal number';

/** Decimals keep their text. */
const floatTag = {
  ...floatCoreTag,
  resolve(source: string, isExplicit: boolean, tagName: string) {
    const number = floatCoreTag.resolve(source, isExplicit, tagName);
    return number === NOT_RESOLVED || !Number.isFinite(number) ? number : exactNumber(asJsonNumber(source));
  },
};

/** `+.5` as JSON writes it: `0.5`. */
function asJsonNumber(source: string): string {
  const [, sign = '', whole = '', part = '', power = ''] =
    /^([-+]?)(\d*)(?:\.(\d*))?(.*)$/.exec(source) ?? [];
  const point = source.includes('.') ? `.${part || '0'}` : '';
  return `${sign === '-' ? '-' : ''}${whole.replace(/^0+(?=\d)/, '') || '0'}${point}${power}`;
}

const READ = CORE_SCHEMA.withTags(
  mergeTag,
  intTag as typeof intCoreTag,
  floatTag as unknown as typeof floatCoreTag,
);

/** Tags of YAML's own, but for those of YAML 1.1 that say nothing to us. Some (`!!python/object`) make careless readers run code. */
const UNKNOWN_STANDARD = /^tag:yaml\.org,2002:(?!(?:binary|timestamp|set|omap|pairs|value)$)/;

function checkedTag(tagName: string): void {
  if (UNKNOWN_STANDARD.test(tagName))
    throw new FormatError('it has an unknown tag ("!!…"), which may make a reader run code');
}

/** Tags of an application's own (`!include`, `!Ref`): nothing to us, but no mistake in a rendered file. */
const CHECK = CORE_SCHEMA.withTags(mergeTag).withTags(
  ['!', 'tag:'].flatMap((prefix) => [
    defineScalarTag(prefix, {
      matchByTagPrefix: true,
      identify: () => false,
      resolve: (source: string, isExplicit: boolean, tagName: string) => {
        checkedTag(tagName);
        return strTag.resolve(source, isExplicit, tagName);
      },
    }),
    defineSequenceTag(prefix, {
      ...seqTag,
      matchByTagPrefix: true,
      identify: () => false,
      create: (tagName: string) => {
        checkedTag(tagName);
        return seqTag.create(tagName);
      },
    }),
    defineMappingTag(prefix, {
      ...mapTag,
      matchByTagPrefix: true,
      identify: () => false,
      create: (tagName: string) => {
        checkedTag(tagName);
        return mapTag.create(tagName);
      },
    }),
  ]),
);

const floatYaml11 = DUMP_SCHEMA.lookupScalarTag(floatCoreTag.tagName) ?? floatCoreTag;

const WRITE = DUMP_SCHEMA.withTags(
  {
    ...(DUMP_SCHEMA.lookupScalarTag(intYaml11Tag.tagName) ?? intYaml11Tag),
    identify: (data: unknown) => typeof data === 'bigint' || intYaml11Tag.identify(data),
  },
  {
    ...floatYaml11,
    identify: (data: unknown) => data instanceof Decimal || floatYaml11.identify(data),
    represent: (data: unknown) =>
      data instanceof Decimal ? asYaml11(data.text) : floatYaml11.represent(data),
  } as typeof floatYaml11,
);

/** Readers of YAML 1.1 take only those for numbers that have a point, and a sign in the exponent. */
function asYaml11(text: string): string {
  const [number = '', power] = text.toLowerCase().split('e');
  const withPoint = number.includes('.') ? number : `${number}.0`;
  return power === undefined ? withPoint : `${withPoint}e${/^[-+]/.test(power) ? power : `+${power}`}`;
}

/**
 * Reads one YAML document; an empty one is null.
 * @throws FormatError with line and column where known; several documents, duplicate keys and unknown tags too.
 */
export function parseYaml(text: string): Value {
  const documents = load(text, READ);
  if (documents.length > 1) throw new FormatError('it holds several YAML documents; only one can be used');
  return toValue(documents[0] ?? null);
}

/**
 * Makes sure that a YAML reader can read the text: several documents and an application's own tags (`!Ref`) are fine.
 * @throws FormatError with line and column where known.
 */
export function checkYaml(text: string): void {
  const budget = { left: maxValues() };
  for (const document of load(text, CHECK)) measure(document, 0, budget);
}

/** Aliases make many values of few, or one that holds itself: what a reader would make of them is counted. */
function measure(parsed: unknown, depth: number, budget: { left: number }): void {
  budget.left -= 1;
  if (budget.left < 0) throw new FormatError(tooManyValues());
  if (depth > MAX_DEPTH) throw new FormatError(`it is nested deeper than ${MAX_DEPTH} levels`);
  if (typeof parsed !== 'object' || parsed === null) return;
  for (const part of Object.values(parsed)) measure(part, depth + 1, budget);
}

/** A reason that quotes from the text may be as long as that. */
const MAX_REASON = 300;

function load(text: string, schema: typeof READ): unknown[] {
  try {
    return loadAll(text, { schema, maxDepth: MAX_DEPTH });
  } catch (thrown) {
    if (thrown instanceof FormatError) throw thrown;
    if (!(thrown instanceof YAMLException)) throw new FormatError('it cannot be read');
    // The library's own reasons quote names from the text, which may be secrets: cut before the first of them.
    const reason = thrown.reason
      .slice(0, MAX_REASON)
      .replace(/\s*(?:["<!`]|name cannot contain such characters:).*$/s, '');
    const { mark } = thrown;
    throw new FormatError(reason, mark ? { position: { line: mark.line + 1, column: mark.column + 1 } } : {});
  }
}

/** At the beginning of a line they end a document; the library would write them bare. */
const DOCUMENT_MARK = /^(?:---|\.\.\.)(?:\s|$)/;

const SCALARS: readonly ScalarStyleRule[] = [
  (layout) => {
    if (DOCUMENT_MARK.test(layout.node.value)) layout.style = SCALAR_STYLE.DOUBLE_QUOTED;
  },
  ...Object.values(DEFAULT_SCALAR_STYLE_RULES),
];

const STYLE: DumpOptions = { schema: WRITE, lineWidth: -1, noRefs: true, scalarStyleRules: SCALARS };

/** What the library can write: dates as text, since readers do not agree on them. */
function plain(value: Value, path: readonly string[]): Value {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Bytes) throw notText(path);
  if (isList(value)) return value.map((item, index) => plain(item, [...path, `${index}`]));
  if (!isMap(value)) return value;
  const map = createMap();
  for (const [key, item] of Object.entries(value)) map[key] = plain(item, [...path, key]);
  return map;
}

/**
 * Writes a YAML document, line break included.
 * @throws FormatError on bytes that are not text.
 */
export function serialiseYaml(value: Value): string {
  return dump(plain(value, []), STYLE);
}

/** No scalar over several lines: what is put into other text must not depend on where that text stands. */
const ONE_LINE_SCALARS: readonly ScalarStyleRule[] = [
  (layout) => {
    if (layout.node.value.includes('\n')) layout.style = SCALAR_STYLE.DOUBLE_QUOTED;
  },
  ...SCALARS,
];

const INLINE: DumpOptions = { ...STYLE, scalarStyleRules: ONE_LINE_SCALARS };

/**
 * Writes a value on one line, for use inside other YAML. All text is quoted: what may stand bare between braces is
 * something on which readers do not agree.
 */
export function inlineYaml(value: Value): string {
  return dump(plain(value, []), {
    ...INLINE,
    flowLevel: 0,
    forceQuotes: true,
    quoteFlowKeys: true,
  }).trimEnd();
}

/** Writes a value over several lines, all but the first indented by so many blanks, for use inside other YAML. */
export function blockYaml(value: Value, indent: number): string {
  const text = dump(plain(value, []), INLINE).trimEnd();
  return text.replaceAll('\n', `\n${' '.repeat(indent)}`);
}
