// What the data, the template and the guards come to: everything before publishing, VALIDATE_COMMAND included.

import type { Ledger } from '../ledger/ledger.ts';
import { toSidecarError } from '../lib/errors.ts';
import { validateRelease } from '../reconcile/validate.ts';
import { inputOf } from '../render/input.ts';
import { originsOfKeys, prepare, renderingExtras, templatePaths } from '../render/prepare.ts';
import type { Release } from '../render/release.ts';
import { providerOptions } from '../settings/provider-options.ts';
import type { TargetSnapshot } from '../source/provider.ts';
import { readOnce } from '../source/read-once.ts';
import { openTemplates } from '../source/template-source.ts';
import { type CheckContext, type Finding, fail, failure, ok, warn } from './finding.ts';

export interface ContentCheck {
  readonly findings: readonly Finding[];
  /** What would be published; null when it was refused, or could not be tried. */
  readonly generation: Release | null;
}

export interface ReadSource {
  readonly snapshot: TargetSnapshot | null;
  /** The source as it may be shown. */
  readonly shown: string;
}

export async function checkContent(
  context: CheckContext,
  { snapshot, shown }: ReadSource,
  { published }: Ledger,
): Promise<ContentCheck> {
  const { loaded, env, signal } = context;
  if (snapshot === null) return { findings: [untried()], generation: null };
  const { FETCH_TIMEOUT } = loaded.settings;
  try {
    const provider = openTemplates(templatePaths(loaded.settings), providerOptions(loaded, env));
    const templates = provider && (await readOnce(provider, FETCH_TIMEOUT, signal));
    const how = { hasTemplates: provider !== null, extra: renderingExtras(loaded, env) };
    const input = inputOf(snapshot, templates, how);
    if (input === null) return { findings: [], generation: null };
    // Data that was published keeps its first revision, which a template may print.
    const revision = published?.input === input.id ? published.revision : snapshot.revision;
    const generation = await prepare(input, { loaded, env, source: shown, revision });
    const origins = await originsOfKeys(input, { loaded, source: shown });
    const accepted = ok('content', 'content.accepted', describe(context, generation));
    const keys = origins.length === 0 ? [] : [ok('content', 'content.origins', describeOrigins(origins))];
    return { findings: [accepted, ...keys], generation };
  } catch (thrown) {
    const { code } = toSidecarError(thrown, 'render');
    return { findings: [failure('content', thrown, advice(code))], generation: null };
  }
}

function untried(): Finding {
  return warn(
    'content',
    'content.not-tried',
    'Template, format, guards and validation were not tried, since there is no data.',
    'Fix the source first, then check again.',
  );
}

function describe({ loaded }: CheckContext, { parts }: Release): string {
  const { SCHEMA, REQUIRED_KEYS, OUTPUTS } = loaded.settings;
  const files = parts.flatMap(({ generation }) => generation.files);
  const templates = templatePaths(loaded.settings).map((path) => `"${path}"`);
  const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0);
  const where = OUTPUTS.length === 1 ? '' : ` for ${OUTPUTS.length} outputs`;
  const what = `${files.length === 1 ? '1 file' : `${files.length} files`} with ${bytes} bytes${where}`;
  const isPart = OUTPUTS.some(({ template }) => template === undefined);
  const by =
    templates.length === 0 || isPart
      ? 'It comes to'
      : templates.length === 1
        ? `The template ${templates[0]} makes of it`
        : `The templates ${templates.join(', ')} make of it`;
  const passed = [
    ...(REQUIRED_KEYS === undefined ? [] : ['REQUIRED_KEYS are there']),
    ...(SCHEMA === undefined ? [] : ['SCHEMA is fulfilled']),
  ];
  return `${[`${by} ${what}`, ...passed].join('; ')}.`;
}

function describeOrigins(lines: readonly string[]): string {
  return `The keys come from ${lines.join('; from ')}.`;
}

function advice(code: string): string {
  if (code.startsWith('guard.schema-file'))
    return 'Correct the schema: without one, data of any shape would be published.';
  if (code.startsWith('guard.'))
    return 'Correct it at the source or in the template. Change SCHEMA or REQUIRED_KEYS only where they demand what the application does not need.';
  if (code === 'render.conflict') return 'Rename one of the keys, or put one source below a NAME (NAME=URL).';
  if (code === 'source.empty')
    return 'Put the configuration there, and check the path in SOURCE and the rights of its credentials: without them some stores answer as if there were nothing. Set ALLOW_EMPTY=true only where an empty configuration is a legal one.';
  if (code.startsWith('source.')) return 'Put the template where TEMPLATE says, readable for this user.';
  return 'Correct the data at the source, or the template, or FORMAT and the extension of OUTPUT.';
}

/**
 * Asks VALIDATE_COMMAND about a copy below `directory`, which is gone afterwards.
 * @param directory null: there is no place for a copy.
 */
export async function checkValidation(
  { loaded, env, signal }: CheckContext,
  release: Release | null,
  directory: string | null,
): Promise<readonly Finding[]> {
  const commands = loaded.settings.OUTPUTS.flatMap(({ validateCommand }) => validateCommand?.[0] ?? []);
  if (commands.length === 0 || release === null) return [];
  if (directory === null) {
    const message = 'VALIDATE_COMMAND was not tried: there is no place for a copy of the configuration.';
    return [
      warn(
        'validation',
        'validation.not-tried',
        message,
        'Fix the state directory, or mount a volume at /tmp where a sidecar runs already; then check again.',
      ),
    ];
  }
  try {
    await validateRelease({ loaded, env, directory, release }, signal);
    const named = [...new Set(commands)].map((command) => `"${command}"`).join(', ');
    return [ok('validation', 'validation.passed', `VALIDATE_COMMAND ${named} accepts it.`)];
  } catch (thrown) {
    const { code, message, stage, output: printed } = toSidecarError(thrown, 'validate');
    if (stage !== 'validate') return [failure('validation', thrown, MEND_PLACE)];
    const said = printed === undefined ? '' : ` It printed:\n${printed.trim()}`;
    const advised =
      code === 'validate.not-found' ? 'Put the program into the image of the sidecar.' : MEND_DATA;
    return [fail('validation', code, `${message}.${said}`, advised)];
  }
}

const MEND_PLACE = 'A copy for VALIDATE_COMMAND is needed: make room for it in STATE_DIR.';
const MEND_DATA =
  'Fix the configuration at the source, or the command if it rejects a valid one. The old configuration stays.';
