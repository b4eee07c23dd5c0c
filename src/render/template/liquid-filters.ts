// Liquid's own filters, strictly: none of them guesses what text or number a value might have been meant to be.
import type { Context } from 'liquidjs';
import { toValue } from 'liquidjs';
import { FormatError } from '../document/format-error.ts';
import { compare, exact, itemsOf, kindOf, numberOf, printable } from './operands.ts';

interface This {
  readonly context: Context;
}

// biome-ignore lint/suspicious/noExplicitAny: the library's own type for the arguments of a filter
type Handler = (this: any, value: any, ...args: any[]) => any;

/** Filters that make text of text; their arguments are texts, or whole numbers where they count something. */
const TEXT = words(
  'append prepend downcase upcase capitalize lstrip rstrip strip strip_newlines squish normalize_whitespace split remove',
  'remove_first remove_last replace replace_first replace_last truncate truncatewords number_of_words escape xml_escape',
  'escape_once newline_to_br strip_html url_encode url_decode cgi_escape uri_escape slugify sha256 hmac_sha256',
);

/** Filters that calculate. */
const NUMBER = words('abs at_least at_most ceil divided_by floor minus plus modulo times round to_integer');

/** Filters that ask something of each item: of one that lacks the key it is not so. */
const ASKING = words(
  'where reject where_exp reject_exp group_by group_by_exp has has_exp find find_exp find_index find_index_exp',
);

/** Filters of lists that look into no item. */
const PLAIN = words('reverse compact concat push unshift pop shift');

const DATES = words('date date_to_xmlschema date_to_rfc822 date_to_string date_to_long_string');

function words(...lines: readonly string[]): readonly string[] {
  return lines.flatMap((line) => line.split(' '));
}

/**
 * Strict forms of Liquid's filters, by name. They throw a FormatError on a missing key, on text that is not a number, and on
 * what has no text.
 * @param original the library's filter of a name.
 */
export function strictFilters(original: (name: string) => Handler): Readonly<Record<string, Handler>> {
  const wrapped = (names: readonly string[], wrap: (handler: Handler) => Handler) =>
    names.map((name) => [name, wrap(original(name))] as const);
  return Object.fromEntries([
    ...wrapped(TEXT, onText),
    ...wrapped(NUMBER, onNumbers),
    ...wrapped(ASKING, onAskedItems),
    ...wrapped(PLAIN, onList),
    ...wrapped(DATES, onDate),
    ...Object.entries(OWN),
    ...wrapped(['group_by', 'group_by_exp'], (handler) => onGroups(onAskedItems(handler))),
    ['slice', onSlice(original('slice'))] as const,
    ['array_to_sentence_string', onSentence(original('array_to_sentence_string'))] as const,
    ['first', onEnds(original('first'))] as const,
    ['last', onEnds(original('last'))] as const,
  ]);
}

function onText(handler: Handler): Handler {
  return function (this: This, value, ...args) {
    return handler.call(this, printable(toValue(value)), ...args.map(argumentOf));
  };
}

/** Numbers stay numbers, since some arguments are counts. */
function argumentOf(given: unknown): unknown {
  const value: unknown = toValue(given);
  return typeof value === 'number' ? exact(value) : printable(value);
}

function onNumbers(handler: Handler): Handler {
  return function (this: This, value, ...args) {
    const operands = [value, ...args].map((one) => (typeof one === 'boolean' ? one : numberOf(toValue(one))));
    if (typeof operands[0] === 'boolean')
      throw new FormatError(`a number is needed, and this is ${kindOf(value)}`);
    return exact(handler.call(this, ...(operands as [unknown])));
  };
}

function onList(handler: Handler): Handler {
  return function (this: This, value, ...args) {
    return handler.call(this, itemsOf(toValue(value)), ...args);
  };
}

/** The same context, in which an item may lack what is asked for, and may be no map at all. */
function asking(context: Context): Context {
  const lenient = Object.create(context) as Context;
  lenient.strictVariables = false;
  lenient.spawn = (item: object = {}) => {
    const spawned = context.spawn(typeof item === 'object' && item !== null ? item : {});
    spawned.strictVariables = false;
    return spawned;
  };
  return lenient;
}

function onAskedItems(handler: Handler): Handler {
  return function* (this: This, value, ...args) {
    const how = { ...this, context: asking(this.context) };
    const made: unknown = yield handler.call(how, itemsOf(toValue(value)), ...args);
    return made ?? null;
  };
}

interface Group {
  readonly name: unknown;
  readonly items: unknown[];
}

/** The library distinguishes groups by identity, which decimals do not have; items that lack the key have no name. */
function onGroups(handler: Handler): Handler {
  return function* (this: This, value, ...args) {
    const groups = new Map<unknown, Group>();
    for (const { name, items } of (yield handler.call(this, value, ...args)) as Group[]) {
      const id = identityOf(name ?? null);
      const group = groups.get(id) ?? { name: name ?? null, items: [] };
      for (const item of items) group.items.push(item);
      groups.set(id, group);
    }
    return [...groups.values()];
  };
}

function onDate(handler: Handler): Handler {
  return function (this: This, given, ...args) {
    const value: unknown = toValue(given);
    const at = typeof value === 'string' ? value : numberOf(value);
    // The format and the zone. Without them the library has its own.
    const made = handler.call(this, at, ...args.map((one) => (one == null ? one : argumentOf(one))));
    // The library hands back what it cannot read.
    if (made === value || typeof made !== 'string' || made.includes('NaN'))
      throw new FormatError('it is not a date');
    return made;
  };
}

function onSlice(handler: Handler): Handler {
  return function (this: This, given, begin, length = 1) {
    const value: unknown = toValue(given);
    const bounds = [begin, length].map((one) => wholeNumber(toValue(one)));
    return handler.call(this, Array.isArray(value) ? value : printable(value), ...bounds);
  };
}

function wholeNumber(value: unknown): number {
  const number = numberOf(value);
  if (!Number.isInteger(number)) throw new FormatError('a whole number is needed');
  return number;
}

function onSentence(handler: Handler): Handler {
  return function (this: This, value, ...args) {
    return handler.call(this, itemsOf(toValue(value)).map(printable), ...args.map(printable));
  };
}

function onEnds(handler: Handler): Handler {
  return function (this: This, given) {
    const value: unknown = toValue(given);
    if (typeof value !== 'string' && !Array.isArray(value)) {
      throw new FormatError(`a list or a text is needed, and this is ${kindOf(value)}`);
    }
    return handler.call(this, value);
  };
}

/** What the key leads to in each item; none may lack it. */
function* readEach(context: Context, items: readonly unknown[], key: unknown): Generator<unknown, unknown[]> {
  const name = printable(key);
  context.memoryLimit.use(items.length);
  const values: unknown[] = [];
  for (const [at, item] of items.entries()) {
    const value: unknown = yield context._getFromScope(item, name, false);
    if (value === undefined) throw new FormatError(`item ${at + 1} of the list has no "${name}"`);
    values.push(value);
  }
  return values;
}

function* sorted(
  { context }: This,
  value: unknown,
  key: unknown,
  order: (one: unknown) => unknown,
): Generator<unknown, unknown[]> {
  const items = itemsOf(toValue(value));
  const by = key === undefined ? items : yield* readEach(context, items, key);
  const pairs = items.map((item, at) => [order(by[at]), item] as const);
  return pairs.sort(([a], [b]) => compare(a, b)).map(([, item]) => item);
}

/** Those that are written again. */
const OWN: Readonly<Record<string, Handler>> = {
  /** Replaces what is missing or null, and nothing else. */
  default: (value, otherwise) => toValue(value) ?? otherwise,

  join(this: This, value, separator = ' ') {
    const texts = itemsOf(toValue(value)).map(printable);
    const glue = printable(toValue(separator));
    this.context.memoryLimit.use(texts.reduce((sum, text) => sum + text.length + glue.length, 0));
    return texts.join(glue);
  },

  *map(this: This, value, key) {
    return yield* readEach(this.context, itemsOf(toValue(value)), key);
  },

  *sum(this: This, value, key) {
    const items = itemsOf(toValue(value));
    const values = key === undefined ? items : yield* readEach(this.context, items, key);
    return values.reduce((sum: number, one) => exact(sum + numberOf(one)), 0);
  },

  *sort(this: This, value, key) {
    return yield* sorted(this, value, key, (one) => one);
  },

  *sort_natural(this: This, value, key) {
    return yield* sorted(this, value, key, (one) => printable(one).toLowerCase());
  },

  /** By what is printed where there is something to print. */
  uniq(this: This, value) {
    const items = itemsOf(toValue(value));
    this.context.memoryLimit.use(items.length);
    const seen = new Set<unknown>();
    return items.filter((item) => seen.size < seen.add(identityOf(item)).size);
  },
};

function identityOf(item: unknown): unknown {
  return ['a number', 'a text'].includes(kindOf(item)) ? `${kindOf(item)} ${printable(item)}` : item;
}
