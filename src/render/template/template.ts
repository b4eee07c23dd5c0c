// Liquid, strict: whatever is missing, has no text or differs between two renderings is an error. Loads the library: import it only when needed.
import { posix } from 'node:path';
import { type Context, type Emitter, type FilterImplOptions, type FS, Liquid, LiquidError } from 'liquidjs';
import { SidecarError } from '../../lib/errors.ts';
import { inSlices, type Sliced } from '../../lib/slices.ts';
import { FormatError } from '../document/format-error.ts';
import { isBroken } from '../document/value.ts';
import { createFilters, type FormatFilters, UNSTEADY_FILTERS } from './filters.ts';
import { strictFilters } from './liquid-filters.ts';
import { alsoMissing, type Missing, missingIn, variableOf } from './missing.ts';
import { printable } from './operands.ts';
import { renderSimplePartsQuickly } from './quick-renderer.ts';
import { StrictAssign } from './strict-assign.ts';
import { StrictContext } from './strict-context.ts';

/** Longest processor time one template may take. */
const RENDER_LIMIT_MS = 5_000;

/** Longest processor time to look for more that is missing. */
const LOOK_ON_LIMIT_MS = 500;

/** Bound of what a rendering may allocate, in the library's own count (roughly bytes). */
const MEMORY_LIMIT = 256 * 1024 * 1024;

/** Bound of what the library has begun and not finished: an include that is in an include takes about three. */
const MAX_NESTING = 3_000;

/** Bound of one template, in characters. */
const PARSE_LIMIT = 16 * 1024 * 1024;

export interface TemplateOptions {
  /** Bound of the text one template makes, in characters. */
  readonly maxBytes: number;
}

/** Renders one template by its name. The scope is not changed; its names are those of its prototypes too, of which the last has none. */
export type RenderTemplate = (name: string, scope: Readonly<Record<string, unknown>>) => Promise<string>;

/**
 * Prepares templates that may include each other and nothing else.
 * @param files texts by relative name; null for a file that is not UTF-8, which is an error only when it is used.
 * @returns a function that rejects with a SidecarError `render.template` naming template, line and reason, or
 * `render.too-large`.
 */
export async function openTemplates(
  files: ReadonlyMap<string, string | null>,
  options: TemplateOptions,
): Promise<RenderTemplate> {
  const engine = createEngine(files, await formatFilters(files));
  // One that makes a file of each entry is rendered many times.
  const parsed = new Map<string, ReturnType<Liquid['parse']>>();
  const known = (name: string, text: string): ReturnType<Liquid['parse']> => {
    const found = parsed.get(name) ?? engine.parse(text, name);
    parsed.set(name, found);
    return found;
  };
  return async (name, scope) => {
    const text = files.get(name);
    if (typeof text !== 'string') {
      const reason = text === null ? 'it is not UTF-8 text' : 'it does not exist';
      throw new SidecarError(`Cannot render template "${name}": ${reason}`, DETAILS);
    }
    const rendering = { engine, known: () => known(name, text), scope };
    try {
      const emitter = boundedEmitter(options.maxBytes);
      await evaluate(rendering, emitter, { limitMs: RENDER_LIMIT_MS });
      if (isBroken(emitter.buffer)) throw new FormatError('it makes half of a surrogate pair');
      return emitter.buffer;
    } catch (thrown) {
      const others =
        variableOf(thrown) === null ? '' : await otherMissing(rendering, thrown, { name, files });
      throw templateError(thrown, { name, files }, others);
    }
  };
}

interface Rendering {
  readonly engine: Liquid;
  readonly known: () => ReturnType<Liquid['parse']>;
  readonly scope: Readonly<Record<string, unknown>>;
}

interface Manner {
  readonly limitMs: number;
  /** Goes on after an error, and throws all of them at the end. */
  readonly goesOn?: boolean;
}

async function evaluate(rendering: Rendering, emitter: Emitter, how: Manner): Promise<void> {
  const { engine, known, scope } = rendering;
  // A layer of its own: `increment` writes into it.
  const own = Object.create(scope) as Record<string, unknown>;
  const context = new StrictContext(
    own,
    { ...engine.options, catchAllErrors: how.goesOn ?? false },
    { sync: true },
    { liquid: engine, renderLimit: processorLimit(how.limitMs) },
  );
  await inSlices(evaluating(engine.renderer.renderTemplates(known(), context, emitter)));
}

/** The set a template belongs to, and its name there. */
interface Named {
  readonly name: string;
  readonly files: ReadonlyMap<string, string | null>;
}

/** What else the template lacks, for the end of the message: the next try need not fail for the second of them. */
async function otherMissing(rendering: Rendering, first: unknown, named: Named): Promise<string> {
  const placeOf = (error: LiquidError): Omit<Missing, 'variable'> => place(error, named);
  const [missing] = missingIn(first, placeOf);
  if (missing === undefined) return '';
  const nowhere: Emitter = { buffer: '', write: () => undefined };
  try {
    await evaluate(rendering, nowhere, { limitMs: LOOK_ON_LIMIT_MS, goesOn: true });
    return '';
  } catch (thrown) {
    return alsoMissing(missingIn(thrown, placeOf), missing, named.files.values());
  }
}

type Limiter = Context['renderLimit'];

/**
 * Bounds the processor time, in place of the library's own bound, which counts what other work and other processes take as well.
 */
function processorLimit(limitMs: number): Limiter {
  const before = process.cpuUsage();
  let looksAt = performance.now() + limitMs;
  const check = (nowMs: number): void => {
    if (nowMs < looksAt) return;
    const { user, system } = process.cpuUsage(before);
    const leftMs = limitMs - (user + system) / 1_000;
    if (leftMs <= 0) throw new FormatError('it takes too long; make it simpler, or give it less data');
    looksAt = nowMs + leftMs;
  };
  return { check, use: () => undefined } as unknown as Limiter;
}

type FilterHandler = Extract<FilterImplOptions, (...args: never[]) => unknown>;

type Evaluation = Iterator<unknown, unknown, unknown>;

/** What one step leaves for the next. */
interface Evaluating {
  /** What has begun and not ended; the last one goes on. */
  readonly open: Evaluation[];
  /** What the last one gets, or is thrown. */
  value: unknown;
  isThrown: boolean;
}

/** Most steps take a tenth of a microsecond, and so does a place for a pause; but a step may be a filter over a long list. */
const STEPS_AT_ONCE = 4;

/**
 * Runs what the library wrote to be run step by step: a generator that yields generators whose results it wants, and
 * values, which it gets back. Of its own two ways to do so one takes no pause, the other makes a promise of every step.
 */
function* evaluating(evaluation: Evaluation): Sliced<void> {
  const state: Evaluating = { open: [evaluation], value: undefined, isThrown: false };
  while (!takeSteps(state)) yield;
  if (state.isThrown) throw state.value;
}

/** Says whether nothing is left to do. */
function takeSteps(state: Evaluating): boolean {
  const { open } = state;
  for (let left = STEPS_AT_ONCE; left > 0; left -= 1) {
    const top = open.at(-1);
    if (top === undefined) return true;
    try {
      takeStep(state, top);
    } catch (thrown) {
      open.pop();
      state.isThrown = true;
      state.value = thrown;
    }
  }
  return false;
}

function takeStep(state: Evaluating, top: Evaluation): void {
  const { open } = state;
  const step = state.isThrown ? top.throw?.(state.value) : top.next(state.value);
  state.isThrown = false;
  state.value = step?.value;
  if (step?.done !== false) open.pop();
  if (!isEvaluation(state.value)) return;
  if (open.length > MAX_NESTING) throw new FormatError('templates include each other without end');
  open.push(state.value);
  state.value = undefined;
}

/** As the library distinguishes them from values. */
function isEvaluation(value: unknown): value is Evaluation {
  if (typeof value !== 'object' || value === null) return false;
  const { next, throw: fail, return: end } = value as Partial<Record<string, unknown>>;
  return typeof next === 'function' && typeof fail === 'function' && typeof end === 'function';
}

const DETAILS = { code: 'render.template', stage: 'render' } as const;

/** YAML and TOML cost memory for good; only a template that has the word pays. */
async function formatFilters(files: ReadonlyMap<string, string | null>): Promise<FormatFilters | null> {
  const wanted = [...files.values()].some((text) => text !== null && /yaml|toml/.test(text));
  if (!wanted) return null;
  const [yaml, toml] = await Promise.all([import('../document/yaml.ts'), import('../document/toml.ts')]);
  const { inlineYaml, blockYaml, parseYaml } = yaml;
  return { inlineYaml, blockYaml, parseYaml, inlineToml: toml.inlineToml };
}

function createEngine(files: ReadonlyMap<string, string | null>, formats: FormatFilters | null): Liquid {
  const engine = new Liquid({
    strictVariables: true,
    strictFilters: true,
    ownPropertyOnly: true,
    lenientIf: true,
    // Without it the library asks Intl, which costs 8 MiB for good.
    locale: 'en-US',
    timezoneOffset: 0,
    cache: true,
    fs: memoryFs(files),
    root: '.',
    outputEscape: printable,
    memoryLimit: MEMORY_LIMIT,
    parseLimit: PARSE_LIMIT,
  });
  engine.registerTag('assign', StrictAssign);
  const strict = strictFilters((name) => originalFilter(engine, name));
  for (const [name, filter] of Object.entries({ ...strict, ...createFilters(formats) })) {
    engine.registerFilter(name, filter);
  }
  // The library's own `raw` switches `outputEscape` off, and with it the check of what is printed.
  engine.registerFilter('raw', (value: unknown) => value);
  for (const name of UNSTEADY_FILTERS) {
    engine.registerFilter(name, () => {
      throw new FormatError(`the filter "${name}" gives a different result at every rendering`);
    });
  }
  for (const name of DATE_FILTERS) refuseNow(engine, name);
  renderSimplePartsQuickly(engine);
  return engine;
}

const DATE_FILTERS = ['date', 'date_to_xmlschema', 'date_to_rfc822', 'date_to_string', 'date_to_long_string'];

function originalFilter(engine: Liquid, name: string): FilterHandler {
  const filter = engine.filters[name];
  if (typeof filter !== 'function') throw new Error(`the template library has no filter ${name}`);
  return filter;
}

function refuseNow(engine: Liquid, name: string): void {
  const original = originalFilter(engine, name);
  engine.registerFilter(name, function (value: unknown, ...rest: unknown[]) {
    if (value === 'now' || value === 'today') {
      throw new FormatError(`the date "${value}" is different at every rendering`);
    }
    return original.call(this, value, ...rest);
  });
}

/** The files of the set and no others; names resolve against the including file first, `.liquid` may be left out. */
function memoryFs(files: ReadonlyMap<string, string | null>): FS {
  const existsSync = (name: string) => files.has(name);
  const readFileSync = (name: string) => {
    const text = files.get(name);
    if (typeof text !== 'string') throw new FormatError(`the template "${name}" is not UTF-8 text`);
    return text;
  };
  return {
    sep: '/',
    dirname: posix.dirname,
    resolve: (directory, name) => {
      const path = posix.join(directory, name);
      return files.has(path) ? path : `${path}.liquid`;
    },
    existsSync,
    readFileSync,
    exists: (name) => Promise.resolve(existsSync(name)),
    readFile: async (name) => readFileSync(name),
  };
}

class TooLarge extends Error {}

function boundedEmitter(maxLength: number): Emitter {
  const emitter = {
    buffer: '',
    write(part: unknown) {
      emitter.buffer += String(part ?? '');
      if (emitter.buffer.length > maxLength) throw new TooLarge(`more than ${maxLength} characters`);
    },
  };
  return emitter;
}

function templateError(thrown: unknown, named: Named, others: string): SidecarError {
  if (!LiquidError.is(thrown)) return failure(named.name, null, thrown);
  const { file, line } = place(thrown, named);
  const error = failure(file ?? named.name, line, thrown.originalError ?? thrown, thrown);
  return error.said((message) => `${message}${others}`);
}

function place({ token }: LiquidError, { name, files }: Named): Omit<Missing, 'variable'> {
  // The library forgets the file of a missing variable, but the token still has the whole text around it.
  const holds = (file: string) => files.get(file) === token.input;
  const file = token.file ?? (holds(name) ? name : [...files.keys()].find(holds)) ?? null;
  return { file, line: file === null ? null : (token.getPosition()[0] ?? null) };
}

function failure(name: string, line: number | null, origin: unknown, cause: unknown = origin): SidecarError {
  const at = line === null ? '' : `line ${line}: `;
  const code = origin instanceof TooLarge ? 'render.too-large' : DETAILS.code;
  return new SidecarError(`Cannot render template "${name}": ${at}${reasonOf(origin)}`, {
    ...DETAILS,
    code,
    cause,
  });
}

function reasonOf(origin: unknown): string {
  if (origin instanceof TooLarge) return `it makes ${origin.message}; raise MAX_SIZE`;
  if (!(origin instanceof Error)) return String(origin);
  if ('variableName' in origin) {
    return `the variable "${origin.variableName}" is missing; add the key, or give it a default`;
  }
  const missing = /^ENOENT: Failed to lookup "(.*)" in/s.exec(origin.message)?.[1];
  if (missing !== undefined) return `there is no template "${missing}" beside it`;
  if (origin.message === 'memory alloc limit exceeded') {
    return 'it takes too much memory; make it simpler, or give it less data';
  }
  // The library adds the place, which stands before the reason already.
  return origin.message.replace(/(?:, file:.*)?, line:\d+, col:\d+$/s, '');
}
