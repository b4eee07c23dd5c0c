// From an input to what may be published: read, guarded, rendered, checked. What fails here is rejected.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { SidecarError } from '../lib/errors.ts';
import type { Environment } from '../settings/environment.ts';
import type { Loaded, Settings } from '../settings/settings.ts';
import type { TargetSnapshot } from '../source/provider.ts';
import type { DataOptions } from './data.ts';
import type { Generation } from './generation.ts';
import { guardData, guardFiles, type SchemaFile } from './guard.ts';
import type { Input } from './input.ts';
import { keysBySource } from './provenance.ts';
import { readTargetData } from './read-data.ts';
import { type RenderOptions, render, type TemplateSet } from './render.ts';

export interface Prepare {
  readonly loaded: Loaded;
  readonly env: Environment;
  /** The source as it may be shown. */
  readonly source: string;
  /** The revision templates see: the one this data was first published with, when it was. */
  readonly revision: string;
}

/** @throws SidecarError of stage `render` or `validate`. */
export async function prepare(input: Input, { loaded, env, source, revision }: Prepare): Promise<Generation> {
  const { settings } = loaded;
  const data = await readTargetData({ ...input.snapshot, revision }, dataOptions(settings, source));
  await guardData(data, { requiredKeys: settings.REQUIRED_KEYS ?? [], schema: readSchema(settings.SCHEMA) });
  const generation = await render(data, templateSet(input, settings), renderOptions(settings, env));
  const format = settings.OUTPUT.kind === 'file' ? settings.FORMAT : undefined;
  await guardFiles(generation, format, input.templates === null ? source : null);
  return generation;
}

/**
 * Of several sources, a line for each with the keys that came from it; empty of one.
 * @throws SidecarError of stage `render`.
 */
export async function originsOfKeys(
  { snapshot }: Input,
  { loaded, source }: Pick<Prepare, 'loaded' | 'source'>,
): Promise<readonly string[]> {
  return keysBySource(await readTargetData(snapshot, dataOptions(loaded.settings, source)));
}

function dataOptions(settings: Settings, source: string): DataOptions {
  const { KEYS_AS: keysAs, SOURCE_FORMAT: sourceFormat, ALLOW_EMPTY: allowEmpty } = settings;
  return { keysAs, sourceFormat, allowEmpty, source };
}

/** The schema as it is now: it may be mended without a restart. */
function readSchema(path: string | undefined): SchemaFile | null {
  if (path === undefined) return null;
  try {
    return { path, bytes: readFileSync(path) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SidecarError(`Cannot read SCHEMA "${path}": ${reason}`, {
      code: 'guard.schema-file',
      stage: 'validate',
      cause,
    });
  }
}

/** Whatever besides data and templates decides a rendering, as one text. */
export function renderingExtras({ settings }: Loaded, env: Environment): string {
  const { output, format, mode, owner, templateEnv } = renderOptions(settings, env);
  const parts: unknown[] = [output.kind, format, mode, owner, templateEnv, settings.KEYS_AS];
  // Not there when it is not set: what was published before this setting existed must count as the same.
  if (settings.SOURCE_FORMAT !== undefined) parts.push(settings.SOURCE_FORMAT);
  return JSON.stringify(parts);
}

/** A document at the limit may become longer in another format, and a template may repeat what it is given. */
const GROWTH = 4;

function renderOptions(settings: Settings, env: Environment): RenderOptions {
  const { OUTPUT, FORMAT, OUTPUT_MODE, OUTPUT_OWNER, TEMPLATE_ENV, MAX_SIZE } = settings;
  const listed = (TEMPLATE_ENV ?? []).flatMap((name) =>
    env[name] === undefined ? [] : [[name, env[name]] as const],
  );
  return {
    output: OUTPUT,
    format: FORMAT,
    mode: OUTPUT_MODE,
    owner: OUTPUT_OWNER ?? null,
    templateEnv: Object.fromEntries(listed),
    maxBytes: GROWTH * MAX_SIZE,
  };
}

function templateSet({ templates }: Input, { TEMPLATE }: Settings): TemplateSet | null {
  if (templates === null || TEMPLATE === undefined) return null;
  const { kind, path } = TEMPLATE;
  return { kind, ...(kind === 'file' && { main: basename(path) }), files: filesOf(templates.content, path) };
}

function filesOf(content: TargetSnapshot['content'], path: string): TemplateSet['files'] {
  if (content.kind === 'tree') return content.entries.map(({ key, value }) => ({ name: key, bytes: value }));
  throw new SidecarError(`Cannot use template "${path}": it is empty. Put a template there.`, {
    code: 'render.template',
    stage: 'render',
  });
}
