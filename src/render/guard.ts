// Checks that need no other program: keys that must be there, the schema of the data, and whether what was rendered parses.
import { Buffer } from 'node:buffer';
import { MAX_VIOLATIONS } from '../lib/bounds.ts';
import { SidecarError } from '../lib/errors.ts';
import { inSlices } from '../lib/slices.ts';
import type { Data } from './data.ts';
import { checkDocument, parseDocument } from './document/document.ts';
import { type Format, formatOfName, titleOf } from './document/format.ts';
import { describeFormatError, FormatError } from './document/format-error.ts';
import { writingJson } from './document/json.ts';
import { Bytes } from './document/special.ts';
import { encodeWhole } from './document/text.ts';
import { countValues, isList, isMap, type Value } from './document/value.ts';
import type { Generation } from './generation.ts';
import type { CompiledSchema } from './schema.ts';
import { inWords, type Violation, type Violations } from './violations.ts';
import { runTask } from './worker/run.ts';

/** SCHEMA, already read. */
export interface SchemaFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface DataGuards {
  /** REQUIRED_KEYS: paths with `/`, one at the front is allowed. A folder is present when it has anything in it. */
  readonly requiredKeys: readonly string[];
  readonly schema: SchemaFile | null;
}

/**
 * Checks the data before it is rendered.
 * @throws SidecarError `guard.required`, naming every missing key; `guard.schema`, naming every violation;
 * `guard.schema-file` when the schema itself is of no use; and what `Data.value` throws.
 */
export async function guardData(data: Data, { requiredKeys, schema }: DataGuards): Promise<void> {
  if (requiredKeys.length > 0) {
    const value = await data.value();
    const missing = requiredKeys.filter((key) => !isPresent(value, key));
    if (missing.length > 0) {
      const what = missing.length === 1 ? 'a required key is' : 'required keys are';
      throw refuse(
        'guard.required',
        `Cannot accept "${data.source}": ${what} missing: ${missing.join(', ')}`,
      );
    }
  }
  if (schema !== null) await guardSchema(data, schema);
}

function isPresent(value: Value, key: string): boolean {
  let at: Value | undefined = value;
  for (const name of key.replace(/^\//, '').split('/')) {
    if (isMap(at)) at = at[name];
    else if (isList(at) && /^\d+$/.test(name)) at = at[Number(name)];
    else return false;
  }
  return at !== undefined;
}

async function guardSchema(data: Data, schema: SchemaFile): Promise<void> {
  const found = await violationsIn(data, await data.value(), schema);
  const violations = await inWords(found, (violation) => withOrigin(data, violation));
  if (violations.length === 0) return;
  const message = `Cannot accept "${data.source}": it violates the schema "${schema.path}": ${violations.join('; ')}`;
  throw new SidecarError(message, { code: 'guard.schema', stage: 'validate', maxMessage: MAX_VIOLATIONS });
}

/** Of several sources, which one the value came from. */
async function withOrigin({ origins }: Data, { text, path }: Violation): Promise<string> {
  const from = (await origins?.(path)) ?? [];
  return from.length === 0 ? text : `${text} (from ${from.map((source) => `"${source}"`).join(' and ')})`;
}

/** Up to here data is checked in no time, by a schema that does not refer to itself. */
const SMALL_VALUES = 5_000;
const SMALL_TEXT = 128 * 1024;

async function violationsIn(data: Data, value: Value, schema: SchemaFile): Promise<Violations> {
  const json = encodeWhole(await inSlices(writingJson(value, 0, forSchema)));
  const isSmall = json.length < SMALL_TEXT && countValues(value, SMALL_VALUES) < SMALL_VALUES;
  const refers = /"?\$(?:ref|dynamicRef|recursiveRef)\b/.test(Buffer.from(schema.bytes).toString('latin1'));
  if (isSmall && !refers) {
    const validate = await compiled(schema);
    return (await import('./schema.ts')).violationsIn(validate, JSON.parse(Buffer.from(json).toString()));
  }
  const task = { kind: 'validate', name: schema.path, schema: schema.bytes, json } as const;
  const answer = await runTask(task).catch((thrown: unknown) => {
    if (!(thrown instanceof FormatError)) throw thrown;
    const reason = `the check by the schema "${schema.path}" was stopped: ${thrown.message}`;
    throw refuse('guard.schema', `Cannot accept "${data.source}": ${reason}`, thrown);
  });
  if (answer.kind === 'violations') return answer.violations;
  const reason = answer.kind === 'bad-schema' ? answer.reason : 'it cannot be checked by it';
  throw refuse('guard.schema-file', `Cannot use the schema "${schema.path}": ${reason}`);
}

/** What a schema sees of what JSON cannot say: bytes in base64, numbers beyond all others. */
function forSchema(value: Value): string | null {
  if (value instanceof Bytes) return JSON.stringify(Buffer.from(value.get()).toString('base64'));
  if (typeof value !== 'number' || Number.isFinite(value)) return null;
  return Number.isNaN(value) ? 'null' : value > 0 ? '1e999' : '-1e999';
}

/** The schema compiled last: compiling costs far more than validating, and the file seldom changes. */
let last: { readonly schema: SchemaFile; readonly compiling: Promise<CompiledSchema> } | undefined;

function compiled(schema: SchemaFile): Promise<CompiledSchema> {
  if (last?.schema.path !== schema.path || Buffer.compare(last.schema.bytes, schema.bytes) !== 0) {
    last = { schema, compiling: compile(schema) };
  }
  return last.compiling;
}

async function compile(schema: SchemaFile): Promise<CompiledSchema> {
  const format = formatOfName(schema.path) ?? 'json';
  try {
    const value = await parseDocument(schema.bytes, format);
    return await (await import('./schema.ts')).compileSchema(value);
  } catch (thrown) {
    const reason = thrown instanceof FormatError ? describeFormatError(thrown) : reasonOf(thrown);
    throw refuse('guard.schema-file', `Cannot use the schema "${schema.path}": ${reason}`, thrown);
  }
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * Checks that every rendered JSON, YAML and TOML file parses.
 * @param format FORMAT, for a file output; undefined: by each name's extension. `raw` is not looked at.
 * @param source whose bytes these are, where no template stands between: there it is mended. Null: a template's.
 * @throws SidecarError `guard.parse` naming the file, line and column; the content is not quoted.
 */
export async function guardFiles(
  generation: Generation,
  format: Format | undefined,
  source: string | null,
): Promise<void> {
  for (const { name, bytes } of generation.files) {
    const effective = format ?? formatOfName(name) ?? 'raw';
    if (effective === 'raw') continue;
    await checkDocument(bytes, effective).catch((thrown: unknown) => {
      if (!(thrown instanceof FormatError)) throw thrown;
      const reason = `it is not valid ${titleOf(effective)}: ${describeFormatError(thrown)}`;
      const what = source === null ? `the rendered file "${name}"` : `"${source}" as "${name}"`;
      throw refuse('guard.parse', `Cannot accept ${what}: ${reason}`, thrown);
    });
  }
}

function refuse(code: string, message: string, cause?: unknown): SidecarError {
  return new SidecarError(message, { code, stage: 'validate', cause });
}
