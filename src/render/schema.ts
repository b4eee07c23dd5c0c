// JSON Schema by ajv. Loads the library: import it only when SCHEMA is set.
import { Buffer } from 'node:buffer';
import { Ajv, type AnySchema, type ErrorObject, type ValidateFunction } from 'ajv';
import { Bytes } from './document/special.ts';
import { isList, isMap, type Value } from './document/value.ts';

/** Most violations that are told; a schema that is wholly wrong for the data has thousands. */
const MAX_TOLD = 50;

/** A schema that is ready to validate. */
export type CompiledSchema = ValidateFunction;

/**
 * Compiles a schema: draft-07, or 2019-09 or 2020-12 when its `$schema` says so. `format` is a note, not a check, as
 * the specification has it. Nothing is fetched.
 * @throws Error with ajv's reason when it is no valid schema.
 */
export async function compileSchema(schema: Value): Promise<CompiledSchema> {
  const options = { allErrors: true, strict: false, validateFormats: false, logger: false } as const;
  const draft = isMap(schema) ? String(schema['$schema'] ?? '') : '';
  const plain = toPlain(schema) as AnySchema;
  if (draft.includes('2020-12')) {
    const { Ajv2020 } = await import('ajv/dist/2020.js');
    return new Ajv2020(options).compile(plain);
  }
  if (draft.includes('2019-09')) {
    const { Ajv2019 } = await import('ajv/dist/2019.js');
    return new Ajv2019(options).compile(plain);
  }
  return new Ajv(options).compile(plain);
}

/** Every violation, with its path and without the value, which may be a secret. */
export function violationsOf(validate: CompiledSchema, value: Value): string[] {
  if (validate(toPlain(value))) return [];
  const told = [...new Set((validate.errors ?? []).map(describe))];
  const more = told.length - MAX_TOLD;
  return more > 0 ? [...told.slice(0, MAX_TOLD), `and ${more} more`] : told;
}

function describe({ instancePath, keyword, message, params }: ErrorObject): string {
  const where = instancePath === '' ? '/' : instancePath;
  const name: unknown = keyword === 'additionalProperties' ? params['additionalProperty'] : undefined;
  return `${where} ${message ?? 'is not valid'}${typeof name === 'string' ? ` (has "${name}")` : ''}`;
}

/** Plain objects and numbers, bytes in base64: the library compares by methods that our maps do not have, and knows no bigint. */
function toPlain(value: Value): unknown {
  if (typeof value === 'bigint') return Number(value);
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
