// Which files a set of templates makes: by their names, before any is rendered.
import { basename } from 'node:path';
import { SidecarError } from '../../lib/errors.ts';
import { listedIn } from './entries.ts';

/** Every template and partial, already read. */
export interface TemplateSet {
  /** `file`: `main` makes the output, the others are partials. `directory`: every `NAME.liquid` makes a `NAME`. */
  readonly kind: 'file' | 'directory';
  /** The name of the one template of a `file` set. */
  readonly main?: string;
  /** Names are relative, with `/`. */
  readonly files: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

interface Output {
  readonly kind: 'file' | 'directory';
  readonly path: string;
}

/** One file of the output. */
export interface PlannedFile {
  readonly name: string;
  /** The template that makes it; null for a file that is copied. */
  readonly template: string | null;
  /** The map in the data for each entry of which it makes a file; null for one file. */
  readonly listed: string | null;
  readonly bytes: Uint8Array;
}

/**
 * Plans the files of an output.
 * @throws SidecarError `render.duplicate-output`, `render.shape`, or `render.template` when there is none to make.
 */
export function planOutputs(templates: TemplateSet, output: Output): PlannedFile[] {
  if (templates.kind === 'file') {
    const main = templates.main ?? '';
    const isFile = output.kind === 'file';
    const name = isFile ? basename(output.path) : withoutSuffix(basename(main));
    return [{ name, template: main, listed: isFile ? null : listedIn(name), bytes: new Uint8Array(0) }];
  }
  if (output.kind === 'file') {
    throw refuse(
      'render.shape',
      `Cannot render a directory of templates to the file "${output.path}": make OUTPUT a directory ` +
        '(with a trailing slash), or TEMPLATE a file',
    );
  }
  const plan = templates.files.filter(({ name }) => !isPartial(name) && !isIgnored(name)).map(planned);
  if (plan.length === 0) {
    const reason =
      'no template in the directory makes a file; names end in ".liquid" and do not begin with "_"';
    throw refuse('render.template', `Cannot render to the directory "${output.path}": ${reason}`);
  }
  refuseDuplicates(plan);
  return plan;
}

function planned({ name, bytes }: TemplateSet['files'][number]): PlannedFile {
  const isTemplate = name.endsWith(SUFFIX);
  const made = withoutSuffix(name);
  return {
    name: made,
    template: isTemplate ? name : null,
    listed: isTemplate ? listedIn(made) : null,
    bytes,
  };
}

const SUFFIX = '.liquid';

function withoutSuffix(name: string): string {
  return name.endsWith(SUFFIX) && basename(name) !== SUFFIX ? name.slice(0, -SUFFIX.length) : name;
}

function isPartial(name: string): boolean {
  return name.split('/').some((part) => part.startsWith('_'));
}

/** Hidden files and what editors leave behind. */
function isIgnored(name: string): boolean {
  return name.endsWith('~') || name.split('/').some((part) => /^(?:\.|#.*#$)/.test(part));
}

function refuseDuplicates(plan: readonly PlannedFile[]): void {
  const names = new Set<string>();
  for (const { name } of plan) {
    if (names.has(name)) {
      const reason = `both "${name}" and "${name}${SUFFIX}" make it; remove one of them`;
      throw refuse('render.duplicate-output', `Cannot render the file "${name}": ${reason}`);
    }
    names.add(name);
  }
}

function refuse(code: string, message: string): SidecarError {
  return new SidecarError(message, { code, stage: 'render' });
}
