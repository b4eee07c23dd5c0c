// From an input to what may be published: read, guarded, rendered, checked. What fails here is rejected.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { SidecarError } from '../lib/errors.ts';
import type { Environment } from '../settings/environment.ts';
import type { OutputSettings } from '../settings/outputs.ts';
import type { Loaded, Settings } from '../settings/settings.ts';
import type { TargetSnapshot } from '../source/provider.ts';
import type { DataOptions } from './data.ts';
import { guardData, guardFiles, type SchemaFile } from './guard.ts';
import type { Input } from './input.ts';
import { keysBySource } from './provenance.ts';
import { readTargetData } from './read-data.ts';
import { largestRelease, type Part, type Release, releaseOf } from './release.ts';
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
export async function prepare(input: Input, { loaded, env, source, revision }: Prepare): Promise<Release> {
  const { settings } = loaded;
  const data = await readTargetData({ ...input.snapshot, revision }, dataOptions(settings, source));
  await guardData(data, { requiredKeys: settings.REQUIRED_KEYS ?? [], schema: readSchema(settings.SCHEMA) });
  const parts: Part[] = [];
  const maxBytes = largestRelease(settings.MAX_SIZE);
  let usedBytes = 0;
  for (const output of settings.OUTPUTS) {
    const options = { ...renderOptions(output, loaded, env), maxBytes, usedBytes };
    const templates = templateSet(input, settings, output);
    const generation = await render(data, templates, options);
    const format = output.place.kind === 'file' ? output.format : undefined;
    await guardFiles(generation, format, templates === null ? source : null);
    usedBytes += generation.files.reduce((sum, { bytes }) => sum + bytes.length, 0);
    parts.push({ path: output.place.path, generation });
  }
  return releaseOf(parts);
}

/** The places of all templates, each once, in the order in which outputs use them. */
export function templatePaths({ OUTPUTS }: Settings): readonly string[] {
  return [...new Set(OUTPUTS.flatMap(({ template }) => template?.path ?? []))];
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
export function renderingExtras(loaded: Loaded, env: Environment): string {
  const { OUTPUTS, KEYS_AS, SOURCE_FORMAT } = loaded.settings;
  const { templateEnv } = variablesOf(loaded, env);
  const described = OUTPUTS.map(({ place, format, mode, owner }) => [place.kind, format, mode, owner]);
  const parts: unknown[] = [
    ...(described.length === 1 ? (described[0] ?? []) : [described]),
    templateEnv,
    KEYS_AS,
  ];
  // Not there when it is not set: what was published before this setting existed must count as the same.
  if (SOURCE_FORMAT !== undefined) parts.push(SOURCE_FORMAT);
  if (OUTPUTS.length > 1) parts.push(OUTPUTS.map(({ place, template }) => [place.path, template?.path]));
  if (OUTPUTS.some(({ modes }) => modes.length > 0)) parts.push(OUTPUTS.map(({ modes }) => modes));
  return JSON.stringify(parts);
}

function renderOptions(
  { place, format, mode, owner, modes }: OutputSettings,
  loaded: Loaded,
  env: Environment,
): Omit<RenderOptions, 'maxBytes' | 'usedBytes'> {
  const { ALLOW_EMPTY: allowEmpty } = loaded.settings;
  return { output: place, format, mode, owner, modes, allowEmpty, ...variablesOf(loaded, env) };
}

function variablesOf({ settings }: Loaded, env: Environment): Pick<RenderOptions, 'templateEnv'> {
  const listed = (settings.TEMPLATE_ENV ?? []).flatMap((name) =>
    env[name] === undefined ? [] : [[name, env[name]] as const],
  );
  return { templateEnv: Object.fromEntries(listed) };
}

function templateSet(
  { templates }: Input,
  settings: Settings,
  { template }: OutputSettings,
): TemplateSet | null {
  if (templates === null || template === undefined) return null;
  const { kind, path } = template;
  const { content } = templates;
  const own =
    content.kind === 'merged'
      ? content.parts[templatePaths(settings).indexOf(path)]?.snapshot.content
      : content;
  return { kind, ...(kind === 'file' && { main: basename(path) }), files: filesOf(own, path) };
}

function filesOf(content: TargetSnapshot['content'] | undefined, path: string): TemplateSet['files'] {
  if (content?.kind === 'tree') return content.entries.map(({ key, value }) => ({ name: key, bytes: value }));
  throw new SidecarError(`Cannot use template "${path}": it is empty. Put a template there.`, {
    code: 'render.template',
    stage: 'render',
  });
}
