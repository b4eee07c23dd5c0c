// The `check` command: tries everything that would be needed and says in plain sentences what would fail and how to mend
// it. The application is not notified, nothing is published, nothing is left behind.

import { readLedger } from '../ledger/ledger-file.ts';
import { withCode } from '../lib/errors.ts';
import { largestRelease, type Release } from '../render/release.ts';
import { pathsOf, stateDirectoryOf } from '../settings/outputs.ts';
import type { Loaded } from '../settings/settings.ts';
import type { OpenProvider } from '../source/provider.ts';
import { checkConfirmation } from './confirmation.ts';
import { checkContent, checkValidation } from './content.ts';
import { checkEndpoints } from './endpoints.ts';
import { type CheckContext, exitCodeOf, type Finding, hasFailed } from './finding.ts';
import { checkHistory } from './history.ts';
import { checkHook } from './hook.ts';
import { checkProcess } from './process.ts';
import { checkRoom } from './room.ts';
import { checkSettings } from './settings.ts';
import { checkMount } from './shared-volume.ts';
import { checkSource } from './source.ts';
import { checkOutput } from './volume.ts';
import { type CheckWorkspace, openWorkspace } from './workspace.ts';

export type { Finding } from './finding.ts';

export interface CheckOptions extends CheckContext {
  /** Opens the provider of the source's scheme, already loaded. */
  readonly open: OpenProvider;
  /** Print the findings as JSON: `[{area, level, code, message, mend}]`. */
  readonly json: boolean;
}

export interface Checked {
  readonly text: string;
  /** 0 when nothing fails; else 3 source, 4 refused, 5 publishing, 6 process, hook or confirmation, 2 `LISTEN`. */
  readonly exitCode: number;
}

/** Tries everything once, with settings that were accepted. Throws nothing for what the world is like. */
export async function check({ json, ...options }: CheckOptions): Promise<Checked> {
  const findings = await examine(options);
  const text = json ? `${JSON.stringify(findings, null, 2)}\n` : describe(findings);
  return { text, exitCode: exitCodeOf(findings) };
}

/** The findings in the order in which things are needed. */
async function examine({ open, ...context }: Omit<CheckOptions, 'json'>): Promise<readonly Finding[]> {
  const workspace = await openWorkspace(context);
  try {
    return await tryAll(context, { open, workspace });
  } finally {
    workspace.release();
  }
}

interface Means {
  readonly open: OpenProvider;
  readonly workspace: CheckWorkspace;
}

async function tryAll(context: CheckContext, { open, workspace }: Means): Promise<readonly Finding[]> {
  const { loaded } = context;
  const { settings } = loaded;
  const isKept = workspace.lockHolder !== null;
  const directory = stateDirectoryOf(settings.OUTPUT, settings.STATE_DIR);
  const { ledger } = readLedger(directory);
  const source = await checkSource(context, open);
  const content = await checkContent(context, source, ledger);
  const { generation } = content;
  const validation = await checkValidation(context, generation, workspace.directory);
  const outputs = pathsOf(settings.OUTPUTS);
  const output = settings.OUTPUTS.flatMap((one) =>
    checkOutput({
      ...{ output: one, isKept, maxBytes: largestRelease(settings.MAX_SIZE) },
      generation: generation?.parts.find(({ path }) => path === one.place.path)?.generation ?? null,
    }),
  );
  const application = await checkProcess(context);
  return [
    ...checkSettings(loaded),
    ...source.findings,
    ...content.findings,
    ...validation,
    ...output,
    ...stateFindings(workspace, { output, loaded, generation }),
    ...checkHistory({ directory, outputs, ledger, generation, rollback: settings.ROLLBACK }),
    ...application.findings,
    ...checkMount(settings, application.found),
    ...(await checkHook(context, workspace.status)),
    ...(await checkConfirmation(context, { application: application.found, ledger })),
    ...(await checkEndpoints(settings.LISTEN, isKept)),
  ];
}

interface StateQuestion {
  readonly loaded: Loaded;
  readonly generation: Release | null;
  /** What was found out about the output. */
  readonly output: readonly Finding[];
}

/** A default state directory lies in the output's: a volume that is missing, or too small, is reported once. */
function stateFindings(
  { findings }: CheckWorkspace,
  { loaded, generation, output }: StateQuestion,
): readonly Finding[] {
  const { STATE_DIR, KEEP_GENERATIONS } = loaded.settings;
  const files = generation?.parts.flatMap((part) => part.generation.files) ?? null;
  if (loaded.raw.has('STATE_DIR')) {
    const room = checkRoom('state', STATE_DIR, { files, versions: KEEP_GENERATIONS + 1 });
    return hasFailed(findings) ? findings : [...room, ...findings];
  }
  const reported = new Set(output.filter(({ level }) => level === 'fail').map(({ code }) => code));
  return findings.filter(({ level, code }) => level !== 'fail' || !reported.has(code));
}

const MARKS = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const;
const INDENT = ' '.repeat(8);

function describe(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ area, level, code, message, mend }) => [
    `${MARKS[level]} ${area}: ${withCode(message, level === 'ok' ? null : code).replaceAll('\n', `\n${INDENT}`)}`,
    ...(mend === null ? [] : [`${INDENT}${mend}`]),
  ]);
  return `${[...lines, summary(findings)].join('\n')}\n`;
}

/** True of the worst finding. */
function summary(findings: readonly Finding[]): string {
  const of = (wanted: Finding['level']) => findings.filter(({ level }) => level === wanted);
  const [failures, warnings] = [of('fail'), of('warn')];
  const aside = warnings.length === 1 ? '1 warning' : `${warnings.length} warnings`;
  const [first] = failures;
  if (first !== undefined) {
    const more = warnings.length === 0 ? '' : `, ${aside}`;
    return `${failures.length} of ${findings.length} checks failed${more}. Fix ${first.code} first.`;
  }
  if (warnings.length > 0) return `No check failed; ${aside}: it works, but perhaps not as you mean it.`;
  return `All ${findings.length} checks passed.`;
}
