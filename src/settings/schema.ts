// The settings file as a JSON Schema, for editors and reviews: made from the one table.
import { plain } from './docs.ts';
import { TARGET_NAME } from './file.ts';
import type { KindShape } from './kind.ts';
import { isOfTheProcess, rowOf, SPELLINGS, type Spelling } from './table.ts';

/** A part of a JSON Schema. */
export type Schema = Readonly<Record<string, unknown>>;

/** Every key at the top; or the same under `defaults:`, and for each target under `targets:`. Draft 7, which every editor knows. */
export function settingsSchema(): Schema {
  const properties = Object.fromEntries(
    [...SPELLINGS]
      .filter(([, { name }]) => name !== 'SETTINGS_FILE')
      .map(([written, spelling]) => [written.toLowerCase(), schemaOf(spelling)]),
  );
  const settings = { type: 'object', additionalProperties: false, properties };
  const ofTarget = Object.fromEntries(
    Object.entries(properties).filter(([key]) => !KEYS_OF_THE_PROCESS.includes(key)),
  );
  const target = { type: 'object', additionalProperties: false, properties: ofTarget };
  const targets = {
    ...{ type: 'object', minProperties: 1, additionalProperties: target },
    propertyNames: { pattern: TARGET_NAME.source },
  };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Settings of config-sidecar',
    // Without the choice an editor would offer the keys of the one in the other.
    if: { anyOf: [{ required: ['defaults'] }, { required: ['targets'] }] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: { type: 'object', additionalProperties: false, properties: { defaults: settings, targets } },
    else: settings,
  };
}

/** They stand under `defaults:` only. */
const KEYS_OF_THE_PROCESS = [...SPELLINGS]
  .filter(([, { name }]) => isOfTheProcess(name))
  .map(([written]) => written.toLowerCase());

/** One value as YAML has it: `60`, `true` and `0644` are no texts there. */
const SCALAR: Schema = { type: ['string', 'number', 'boolean'] };
const NOT_EMPTY: Schema = { ...SCALAR, minLength: 1 };

function schemaOf({ name, secretFile }: Spelling): Schema {
  const { kind, meaning, fallback } = rowOf(name);
  if (secretFile)
    return { description: `Path of the file that holds ${name}.`, type: 'string', minLength: 1 };
  const description = plain(meaning);
  return {
    description,
    ...(fallback !== undefined && { default: fallback }),
    anyOf: shapesOf(kind),
  };
}

function shapesOf(kind: KindShape): readonly Schema[] {
  const { itemKinds, requiredKeys = [] } = kind;
  if (itemKinds !== undefined) {
    const keys = Object.entries(itemKinds).map(([key, one]) => [key, { anyOf: shapesOf(one) }]);
    const properties = Object.fromEntries(keys);
    const item = { type: 'object', properties, additionalProperties: false, required: [...requiredKeys] };
    return [item, { type: 'array', items: item, minItems: 1 }];
  }
  return [
    kind.values === undefined ? NOT_EMPTY : { enum: choices(kind.values) },
    ...(kind.fromList === undefined ? [] : [{ type: 'array', items: NOT_EMPTY, minItems: 1 }]),
    ...(kind.fromMap === undefined
      ? []
      : [{ type: 'object', additionalProperties: SCALAR, minProperties: 1 }]),
    ...(kind.fromItems === undefined
      ? []
      : [
          { type: 'object', minProperties: 1 },
          { type: 'array', items: { type: ['string', 'object'] }, minItems: 1 },
        ]),
  ];
}

/** `true` and `false` are also what YAML makes of them. */
function choices(values: readonly string[]): readonly (string | boolean)[] {
  return values.flatMap((value) =>
    value === 'true' || value === 'false' ? [value, value === 'true'] : [value],
  );
}
