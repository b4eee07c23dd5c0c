// Data and templates, or a format, to a generation. Pure: no clock, no disk, no network.

import { basename } from 'node:path';
import { SidecarError } from '../lib/errors.ts';
import { inSlices, type Sliced } from '../lib/slices.ts';
import type { ModeRule } from '../settings/modes.ts';
import type { Owner } from '../settings/types.ts';
import type { Data } from './data.ts';
import { serialiseDocument } from './document/document.ts';
import { FORMATS, type Format, formatOfName, titleOf } from './document/format.ts';
import { FormatError, showPath } from './document/format-error.ts';
import { decodeText, encodeText, withoutMark } from './document/text.ts';
import type { TreeEntry } from './document/tree.ts';
import { createMap, datesAsText, isMap, type Value, writingDates } from './document/value.ts';
import { findingNameProblem } from './file-names.ts';
import { creatingGeneration, type Generation, type GenerationFile } from './generation.ts';
import { filesOfLeaves } from './leaves.ts';
import { withModes } from './modes.ts';
import { entriesFor, nameForEntry, type TemplateEntry } from './template/entries.ts';
import { type PlannedFile, planOutputs, type TemplateSet } from './template/set.ts';
import type { RenderTemplate } from './template/template.ts';

export type { TemplateSet } from './template/set.ts';

export interface RenderOptions {
  /** `path` is absolute, without a trailing slash also for a directory. */
  readonly output: { readonly kind: 'file' | 'directory'; readonly path: string };
  /** FORMAT; undefined: by the extension of the output. */
  readonly format: Format | undefined;
  readonly mode: number;
  readonly owner: Owner | null;
  /** MODES, of a directory. */
  readonly modes?: readonly ModeRule[];
  /** ALLOW_EMPTY: a map without entries is a directory without files. */
  readonly allowEmpty?: boolean;
  /** The variables named by TEMPLATE_ENV with their values. One that is not set is missing in a template. */
  readonly templateEnv: Readonly<Record<string, string | undefined>>;
  /** Bound of all files together, in bytes. */
  readonly maxBytes: number;
  /** What the outputs before have taken of that; 0 by default. */
  readonly usedBytes?: number;
}

/**
 * Renders everything that becomes visible together.
 * @throws SidecarError of stage `render`; nothing of a generation is usable then.
 */
export async function render(
  data: Data,
  templates: TemplateSet | null,
  options: RenderOptions,
): Promise<Generation> {
  const made =
    templates === null ? await plainFiles(data, options) : await templated(data, templates, options);
  const files = made.map((file) => ({ ...file, bytes: withoutMark(file.bytes) }));
  if (options.output.kind === 'directory') await checkNames(files, options.output.path);
  const size = files.reduce((sum, file) => sum + file.bytes.length, 0);
  if ((options.usedBytes ?? 0) + size > options.maxBytes) throw tooLarge(options);
  const { mode, owner, modes = [] } = options;
  return inSlices(creatingGeneration(await withModes(files, modes, mode), { mode, owner }));
}

async function plainFiles(data: Data, options: RenderOptions): Promise<GenerationFile[]> {
  const { output } = options;
  if (output.kind === 'file') return [{ name: basename(output.path), bytes: await fileBytes(data, options) }];
  if (data.tree !== null) {
    return data.tree.map(({ key, value, isExecutable = false }) => ({
      ...{ name: key, bytes: value },
      ...(isExecutable && { mode: executable(options.mode) }),
    }));
  }
  return leafFiles(data, options);
}

/** Every user who may read it may run it, as git checks files out. */
function executable(mode: number): number {
  return mode | ((mode & 0o444) >> 2);
}

async function leafFiles(
  data: Data,
  { output, allowEmpty = false }: RenderOptions,
): Promise<GenerationFile[]> {
  const cannot = (code: string, reason: string, cause?: unknown): SidecarError =>
    refuse(code, `Cannot write "${data.source}" to the directory "${output.path}": ${reason}`, cause);
  const value = data.format === null && data.bytes !== null ? null : await data.value();
  if (!isMap(value)) {
    const shape = 'it is one document that is not a map, and not a tree of keys';
    throw cannot('render.shape', `${shape}; make OUTPUT a file (no trailing slash), or give a TEMPLATE`);
  }
  if (Object.keys(value).length === 0 && !allowEmpty)
    throw cannot(
      'source.empty',
      'it is a map without entries, which would remove every file; set ALLOW_EMPTY=true where that is meant',
    );
  return filesOfLeaves(value).catch(async (thrown: unknown) => {
    if (!(thrown instanceof FormatError)) throw thrown;
    const path = thrown.path ?? [];
    const [source = data.source] = (await data.origins?.(path)) ?? [];
    const what = `"${showPath(path)}" of "${source}": ${thrown.message}`;
    throw cannot('render.value', `no file can be made of ${what}; or give a TEMPLATE`, thrown);
  });
}

async function fileBytes(data: Data, { output, format }: RenderOptions): Promise<Uint8Array> {
  const effective = format ?? formatOfName(output.path) ?? 'raw';
  if (data.bytes !== null && (effective === 'raw' || effective === data.format)) return data.bytes;
  const value = await data.value();
  if (effective === 'raw') {
    if (data.kind === 'document' && typeof value === 'string') return encodeText(value);
    const what = data.kind === 'tree' ? 'it is a tree of keys' : 'it is part of a document, and no text';
    throw refuse(
      'render.format',
      `Cannot write "${data.source}" to "${output.path}" as it is: ${what}; give FORMAT ` +
        `(${FORMATS.filter((name) => name !== 'raw').join(', ')}), an OUTPUT with such an extension, or a TEMPLATE`,
    );
  }
  return serialiseDocument(value, effective).catch(async (thrown: unknown) => {
    if (!(thrown instanceof FormatError)) throw thrown;
    const path = thrown.path ?? [];
    const [source = data.source] = (await data.origins?.(path)) ?? [];
    const where = `"${showPath(path)}" of "${source}"`;
    throw refuse('render.value', `Cannot write ${where} as ${titleOf(effective)}: ${thrown.message}`, thrown);
  });
}

async function templated(
  data: Data,
  templates: TemplateSet,
  options: RenderOptions,
): Promise<GenerationFile[]> {
  const plan = planOutputs(templates, options.output);
  const { openTemplates } = await import('./template/template.ts');
  const sources = new Map(templates.files.map(({ name, bytes }) => [name, decodeText(bytes)]));
  const renderTemplate = await openTemplates(sources, { maxBytes: options.maxBytes });
  const scope = await scopeOf(data, options.templateEnv);
  const files: GenerationFile[] = [];
  const refusals: SidecarError[] = [];
  for (const planned of plan) {
    try {
      files.push(...(await filesOf(planned, { data, scope, renderTemplate })));
    } catch (thrown) {
      // The other templates are tried as well, so that all mistakes are said at once.
      if (!(thrown instanceof SidecarError) || thrown.code !== 'render.template') throw thrown;
      refusals.push(thrown);
      if (refusals.length === MOST_REFUSALS) break;
    }
  }
  throwAll(refusals);
  refuseDuplicates(files);
  return files;
}

/** Each can take all the processor time that one template may. */
const MOST_REFUSALS = 5;

function throwAll([first, ...others]: readonly SidecarError[]): void {
  if (first === undefined) return;
  throw first.said((message) => [message, ...others.map((one) => one.message)].join('. '));
}

interface Ingredients {
  readonly data: Data;
  readonly scope: Readonly<Record<string, unknown>>;
  readonly renderTemplate: RenderTemplate;
}

async function filesOf(
  { name, template, listed, bytes }: PlannedFile,
  { data, scope, renderTemplate }: Ingredients,
): Promise<GenerationFile[]> {
  if (template === null) return [{ name, bytes }];
  if (listed === null) return [{ name, bytes: encodeText(await renderTemplate(template, scope)) }];
  const files: GenerationFile[] = [];
  for (const entry of entriesFor(template, listed, await data.value())) {
    const made = nameForEntry(name, entry.key);
    const text = await renderTemplate(template, withEntry(scope, entry, data));
    files.push({ name: made, bytes: encodeText(text) });
  }
  return files;
}

function withEntry(
  scope: Readonly<Record<string, unknown>>,
  { key, value }: TemplateEntry,
  { format, source }: Data,
): Record<string, unknown> {
  if ('entry' in scope) {
    throw refuse(
      'render.reserved',
      `Cannot render a template for each entry over "${source}": the data has a key "entry" at its top, and there that ` +
        'name is reserved for the entry; rename the key',
    );
  }
  const shown = format === 'toml' ? datesAsText(value) : value;
  return Object.assign(Object.create(scope), { entry: Object.assign(createMap(), { key, value: shown }) });
}

/** Only entries make names that the templates did not have. */
function refuseDuplicates(files: readonly GenerationFile[]): void {
  const names = new Set<string>();
  for (const { name } of files) {
    if (names.has(name)) {
      const reason = 'an entry and another template both make it; rename one of them';
      throw refuse('render.duplicate-output', `Cannot render the file "${name}": ${reason}`);
    }
    names.add(name);
  }
}

/** What templates see. A fresh map: a template's own assignments must not reach the data. */
async function scopeOf(
  data: Data,
  templateEnv: RenderOptions['templateEnv'],
): Promise<Record<string, unknown>> {
  const hasDates = data.format === 'toml';
  const whole = await data.value();
  const value = hasDates ? await inSlices(writingDates(whole)) : whole;
  // Not copied: there may be many names, and many templates.
  const scope = Object.create(isMap(value) ? value : null) as Record<string, unknown>;
  if ('sidecar' in scope) {
    throw refuse(
      'render.reserved',
      `Cannot render a template over "${data.source}": the data has a key "sidecar" at its top, and that name is ` +
        'reserved for what the sidecar knows about the data; rename the key',
    );
  }
  const env = createMap();
  for (const [name, text] of Object.entries(templateEnv)) if (text !== undefined) env[name] = text;
  const entries = await inSlices(listing(await data.entries(), hasDates ? datesAsText : (item) => item));
  const { revision, digest } = data;
  scope['sidecar'] = Object.assign(createMap(), { data: value, entries, revision, digest, env });
  return scope;
}

function* listing(entries: readonly TreeEntry[], plain: (value: Value) => Value): Sliced<ShownEntry[]> {
  const listed: ShownEntry[] = [];
  for (const { key, value } of entries) {
    listed.push(new ShownEntry(key, plain(value)));
    yield;
  }
  return listed;
}

/** A map of two names. One made with `createMap` is a table of its own, ten times as large. */
class ShownEntry {
  readonly key: string;
  readonly value: Value;

  constructor(key: string, value: Value) {
    this.key = key;
    this.value = value;
  }
}

// As of any map: `entry.constructor` is a key that is missing.
Object.setPrototypeOf(ShownEntry.prototype, null);
Reflect.deleteProperty(ShownEntry.prototype, 'constructor');

async function checkNames(files: readonly GenerationFile[], directory: string): Promise<void> {
  const names = files.map((file) => file.name);
  const problem = await inSlices(findingNameProblem(names, directory));
  if (problem !== null) {
    throw refuse('render.name', `Cannot write the files of "${directory}": ${problem}; nothing was written`);
  }
}

function tooLarge({ output, maxBytes }: RenderOptions): SidecarError {
  const reason = `the files together are larger than ${maxBytes} bytes; raise MAX_SIZE`;
  return refuse('render.too-large', `Cannot render "${output.path}": ${reason}`);
}

function refuse(code: string, message: string, cause?: unknown): SidecarError {
  return new SidecarError(message, { code, stage: 'render', cause });
}
