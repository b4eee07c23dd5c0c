// Values for property tests: everything a configuration may hold, and what readers are known to stumble over.
import fc from 'fast-check';
import { createMap, type Value } from '../../../../src/render/document/value.ts';

/** Text that some reader of some format takes for something else. */
const TRICKY = [
  ...[
    '',
    ' ',
    'no',
    'on',
    'yes',
    'y',
    'n',
    'true',
    'True',
    'null',
    '~',
    'NaN',
    '.inf',
    '-.Inf',
    '=',
    '<<',
    '-',
    '- a',
    '?',
  ],
  ...[
    '1:30',
    '1_000',
    '0o7',
    '0644',
    '0x1F',
    '0b1',
    '1e3',
    '1.5',
    '.5',
    '+1',
    '12e03',
    '2020-01-01',
    '2020-01-01T00:00:00Z',
  ],
  ...[
    'a: b',
    'a #b',
    '# a',
    '; a',
    'a ;b',
    '[a]',
    '{a',
    '&a',
    '*a',
    '!a',
    '%a',
    '@a',
    '`a',
    '|',
    '>',
    '"',
    "'",
    "it's",
    '\\',
    'a\\',
  ],
  ...[
    '$HOME',
    '$(id)',
    '`id`',
    ['$', '{x}'].join(''),
    'a=b',
    'a:b',
    ' lead',
    'trail ',
    '\ttab',
    'a\tb',
    '\u00a0',
    '\u2003x',
    '\ufeff',
    '\ufeffx',
  ],
  ...[
    'a\nEVIL=1',
    'a\rEVIL=1',
    'a\n[evil]\nb=1',
    'a\n  b: 1',
    '\n',
    'a\n\n',
    '\u0085',
    '\u2028x',
    '\u2029',
    '\u0000',
    '\u001b',
    '\u007f',
    '\u0080',
  ],
  ...[
    '\ufffe',
    '\uffff',
    '\ufffd',
    '😀',
    '\u{10ffff}',
    'é',
    'DEFAULT',
    'default',
    '__proto__',
    'constructor',
    'toString',
    '---',
    '...',
    'a\\\nb',
    '\\u0041',
  ],
];

/** Any text without half surrogate pairs. */
export const text: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...TRICKY) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  { weight: 2, arbitrary: fc.string({ maxLength: 12 }) },
  {
    weight: 1,
    arbitrary: fc.array(fc.constantFrom(...TRICKY), { maxLength: 3 }).map((parts) => parts.join('')),
  },
);

const number: fc.Arbitrary<number | bigint> = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  // The sign of zero is lost in JSON and TOML integers; it is not used in configurations.
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value)),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
);

/** One value without parts; null only on demand, since few formats can say it. */
export function scalar(options: { readonly withNull: boolean }): fc.Arbitrary<Value> {
  const common = [text, number, fc.boolean()] as const;
  return options.withNull ? fc.oneof(...common, fc.constant(null)) : fc.oneof(...common);
}

/** A map of any depth. */
export function map(options: {
  readonly withNull: boolean;
  readonly keys?: fc.Arbitrary<string>;
}): fc.Arbitrary<Value> {
  const { value } = fc.letrec<{ value: Value; map: Value }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      scalar(options),
      fc.array(tie('value'), { maxLength: 4 }),
      tie('map'),
    ),
    map: fc.array(fc.tuple(options.keys ?? text, tie('value')), { maxLength: 5 }).map(mapOf),
  }));
  return fc.array(fc.tuple(options.keys ?? text, value), { maxLength: 5 }).map(mapOf);
}

/** A map of text, at most two levels deep, as line formats have it. */
export function flatMap(options: {
  readonly keys: fc.Arbitrary<string>;
  readonly values: fc.Arbitrary<Value>;
}): fc.Arbitrary<Value> {
  const inner = fc.array(fc.tuple(options.keys, options.values), { maxLength: 4 }).map(mapOf);
  const item = fc.oneof({ weight: 2, arbitrary: options.values }, { weight: 1, arbitrary: inner });
  return fc.array(fc.tuple(options.keys, item), { maxLength: 4 }).map(mapOf);
}

function mapOf(pairs: readonly (readonly [string, Value])[]): Value {
  const made = createMap();
  for (const [key, value] of pairs) made[key] = value;
  return made;
}
