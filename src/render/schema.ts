// JSON Schema by ajv. Loads the library: import it only when SCHEMA is set.
import { Buffer } from 'node:buffer';
import { Ajv, type AnySchema, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { shownKey } from '../lib/bounds.ts';
import { type CompileRegExp, findUnsupported, loadRegExps } from '../lib/linear-regexp.ts';
import { Bytes, Decimal } from './document/special.ts';
import { isList, isMap, type Value } from './document/value.ts';
import { inWords, MAX_SHOWN, type Violation, type Violations } from './violations.ts';

/** A schema that is ready to validate. */
export type CompiledSchema = ValidateFunction;

/**
 * Compiles a schema: draft-07 (and 06), or 2019-09 or 2020-12 when its `$schema` says so. `format` is a note, not a check, as
 * the specification has it. Nothing is fetched. `pattern` is searched for in linear time, and `uniqueItems` compared in
 * it: the data may have been written to take long.
 * @throws Error with ajv's reason when it is not a valid schema, or has a pattern that needs more than linear time.
 */
export async function compileSchema(schema: Value): Promise<CompiledSchema> {
  const { $schema: named, ...rest } = isMap(schema) ? schema : { $schema: undefined };
  const draft = draftOf(named);
  const ajv = await createAjv(draft, {
    allErrors: true,
    strict: false,
    validateFormats: false,
    logger: false,
    code: { regExp: regExpHook(await loadRegExps()) },
  });
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({ keyword: 'uniqueItems', type: 'array', schemaType: 'boolean', validate: validateUnique });
  // The older drafts are spelled in several ways, of which the library knows one each.
  return ajv.compile(toPlain(draft === 'draft-07' && named !== undefined ? rest : schema) as AnySchema);
}

type Draft = 'draft-07' | '2019-09' | '2020-12';

function draftOf(named: Value | undefined): Draft {
  const text = typeof named === 'string' ? named : '';
  if (named === undefined || /^https?:\/\/json-schema\.org\/(?:draft-0[67]\/)?schema#?$/.test(text))
    return 'draft-07';
  const found = /^https?:\/\/json-schema\.org\/draft\/(2019-09|2020-12)\/schema#?$/.exec(text)?.[1];
  if (found !== undefined) return found as Draft;
  throw new Error('its "$schema" is not one of draft-06, draft-07, 2019-09 and 2020-12');
}

/** What the bundler and Node make of a CommonJS module agrees in its default export only. */
async function createAjv(draft: Draft, options: Options): Promise<Ajv> {
  if (draft === '2020-12') {
    const { default: module } = await import('ajv/dist/2020.js');
    return new module.Ajv2020(options);
  }
  if (draft === '2019-09') {
    const { default: module } = await import('ajv/dist/2019.js');
    return new module.Ajv2019(options);
  }
  return new Ajv(options);
}

function regExpHook(compile: CompileRegExp): NonNullable<NonNullable<Options['code']>['regExp']> {
  const create = (pattern: string, flags: string) => {
    const unsupported = findUnsupported(pattern);
    if (unsupported !== null) throw new Error(`the pattern "${pattern}" cannot be used: ${unsupported}`);
    try {
      const { test } = compile(pattern);
      // By its text the library recognises a pattern that it has compiled already.
      return { test, toString: () => `/${pattern}/${flags}` };
    } catch (thrown) {
      throw new Error(`the pattern "${pattern}" cannot be used: ${reasonOf(thrown)}`);
    }
  };
  // Code that the library would write where it is asked for a stand-alone validator, which nothing here does.
  return Object.assign(create, { code: 'new RegExp' });
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

type Validate = ((wanted: boolean, items: unknown[]) => boolean) & { errors?: Partial<ErrorObject>[] };

/** The library compares every item with every other; here each is written down once, in a form that compares. */
const validateUnique: Validate = (wanted, items) => {
  const seen = new Map<string, number>();
  for (const [at, item] of wanted ? items.entries() : []) {
    const form = canonical(item);
    const before = seen.get(form);
    if (before !== undefined) {
      const message = `must NOT have duplicate items (items ## ${before} and ${at} are identical)`;
      validateUnique.errors = [{ keyword: 'uniqueItems', message, params: { i: at, j: before } }];
      return false;
    }
    seen.set(form, at);
  }
  return true;
};

function canonical(item: unknown): string {
  if (typeof item !== 'object' || item === null) return JSON.stringify(item) ?? '';
  if (Array.isArray(item)) return `[${item.map(canonical).join(',')}]`;
  const pairs = Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${pairs.map(([key, value]) => `${JSON.stringify(key)}:${canonical(value)}`).join(',')}}`;
}

/**
 * Every violation in words, up to what a message may hold.
 * @param say what is added to a violation, such as where the value came from.
 */
export function violationsOf(
  validate: CompiledSchema,
  value: Value,
  say: (violation: Violation) => Promise<string>,
): Promise<readonly string[]> {
  return inWords(violationsIn(validate, toPlain(value)), say);
}

/** What is wrong with a value, as `JSON.parse` makes it. */
export function violationsIn(validate: CompiledSchema, plain: unknown): Violations {
  if (validate(plain)) return { first: [], count: 0 };
  const all = new Map((validate.errors ?? []).map(describe).map((violation) => [violation.text, violation]));
  return { first: [...all.values()].slice(0, MAX_SHOWN), count: all.size };
}

function describe({ instancePath, keyword, message, params }: ErrorObject): Violation {
  const where = instancePath === '' ? '/' : shownKey(instancePath);
  const name: unknown = keyword === 'additionalProperties' ? params['additionalProperty'] : undefined;
  const extra = typeof name === 'string' ? [name] : [];
  const parts = instancePath.split('/').slice(1);
  return {
    text: `${where} ${message ?? 'is not valid'}${extra.map((one) => ` (has "${shownKey(one)}")`).join('')}`,
    path: [...parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')), ...extra],
  };
}

/** Plain objects and numbers, bytes in base64: the library compares by methods that our maps do not have, and knows no bigint. */
function toPlain(value: Value): unknown {
  if (typeof value === 'bigint' || value instanceof Decimal) return Number(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Bytes) return Buffer.from(value.get()).toString('base64');
  if (isList(value)) return value.map(toPlain);
  if (!isMap(value)) return value;
  const plain = {};
  for (const [key, item] of Object.entries(value)) {
    Object.defineProperty(plain, key, {
      value: toPlain(item),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return plain;
}
