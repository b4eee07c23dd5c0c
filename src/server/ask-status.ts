// The `status` command's side: asks the sidecar that runs here, and puts its answer into words.
import type { VisibleProcess } from '../application/visible-processes.ts';
import { ageOfSeconds } from '../lib/age.ts';
import { visible } from '../lib/bounds.ts';
import { SidecarError, toSidecarError, withCode } from '../lib/errors.ts';
import { request } from '../lib/http/http.ts';
import { shortDigests } from '../lib/short-digests.ts';
import { trustIn } from '../settings/presets/describe.ts';
import type { Listen } from '../settings/web.ts';
import { UNKNOWN_TARGET } from './control.ts';
import { nextSteps } from './next-steps.ts';
import { shownApplication, shownMemory, shownPin } from './shown.ts';
import type { SeenStatus, SeenTarget, SourceStatus, TrialStatus } from './status-shape.ts';

const ASK_MS = 3_000;
const MAX_BYTES = 4 * 1024 * 1024;

/** Where a sidecar may answer, and what it is asked. */
export interface StatusQuestion {
  /** The paths of its control sockets; none where they are not known. */
  readonly sockets: readonly string[];
  readonly listen: Listen;
  /** The target that is asked for; null: all of them. */
  readonly target: string | null;
}

/**
 * The status, or a sentence that says why it cannot be had. The sockets are asked first: they show everything, and belong to
 * the one sidecar that holds the lock of the output.
 * @throws SidecarError `control.unknown-target` when a sidecar answers that it has no such target.
 */
export async function askSidecar({ sockets, listen, target }: StatusQuestion): Promise<SeenStatus | string> {
  const path = `/status${target === null ? '' : `?target=${encodeURIComponent(target)}`}`;
  let failure: string | null = null;
  if (sockets.length > 0) {
    const { askFirst } = await import('./ask-socket.ts');
    try {
      return (await askFirst(sockets, path)).status;
    } catch (thrown) {
      const error = toSidecarError(thrown, 'control');
      if (error.code === UNKNOWN_TARGET) throw error;
      failure = error.message;
    }
  }
  const found = await askListen(listen, path);
  if (typeof found !== 'string') return found;
  return `Cannot get the status: ${failure === null ? found : `${failure} Also, ${found}`}`;
}

async function askListen(listen: Listen, path: string): Promise<SeenStatus | string> {
  if (listen === 'off') return 'LISTEN is off.';
  const host =
    listen.host === null || listen.host === '0.0.0.0' || listen.host === '::' ? 'localhost' : listen.host;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${listen.port}${path}`;
  try {
    const { signal } = new AbortController();
    const { status, body } = await request({
      method: 'GET',
      url,
      timeoutMs: ASK_MS,
      maxBytes: MAX_BYTES,
      signal,
    });
    if (status === 404 && path !== '/status')
      throw (await import('./ask-socket.ts')).unknownTarget(body.toString());
    if (status !== 200) return `"${url}" answered ${status}; is it a config-sidecar?`;
    return JSON.parse(body.toString()) as SeenStatus;
  } catch (thrown) {
    if (thrown instanceof SidecarError && thrown.code === UNKNOWN_TARGET) throw thrown;
    return `no sidecar answers at "${url}" (${toSidecarError(thrown).message})`;
  }
}

/** Who asks, and when. */
export interface Asking {
  /** The name of the instance that the command runs in. */
  readonly instance: string;
  /** Unix milliseconds. */
  readonly now: number;
}

/** The status for a person. What comes from the data holds no character that a terminal obeys. */
export function describeStatus(status: SeenStatus, asking: Asking): string {
  return visible(shortDigests(describe(status, asking)), { keepsLines: true });
}

function describe({ version, instance, ready, fresh, targets }: SeenStatus, asking: Asking): string {
  const head = `config-sidecar ${version} ${instance}: ${ready ? 'ready' : 'not ready'}, ${fresh ? 'fresh' : 'not fresh'}`;
  // Of two sidecars for one output the one that waits for the lock has no status of its own to show.
  const whose =
    instance === asking.instance
      ? []
      : [
          `This is the status of ${instance}, not of ${asking.instance}: one sidecar at a time holds an output.`,
        ];
  const all = Object.entries(targets).flatMap(([name, target]) => describeTarget(name, target, asking.now));
  return `${[head, ...whose, ...all].join('\n')}\n`;
}

function describeTarget(name: string, target: SeenTarget, now: number): readonly string[] {
  const { outcome, code, message } = target;
  const sentence = message === '' ? '' : `: ${message}`;
  return [
    ...(target.trial ? [`${name}: ${describeTrial(target.trial)}; before that:`] : []),
    withCode(`${name}: ${outcome ?? 'starting'}${sentence}`, code),
    ...printedBy(target),
    ...nextSteps(target, now).map((step) => `  -> ${step}`),
    ...facts(target).map(([label, value]) => `  ${label.padEnd(11)}  ${value}`),
  ];
}

function facts(target: SeenTarget): readonly (readonly [string, string])[] {
  const { desired, running, lastKnownGood, sources, template, preset, pinned, pin } = target;
  const blocked = target.blocked?.length ?? 0;
  return [
    ['output', target.output],
    ['application', shownApplication(target.application)],
    ['hook', target.hook ?? 'none: publish only'],
    ...(preset === null
      ? []
      : [['preset', `${preset.name}: ${preset.application}, ${trustIn(preset)}`] as const]),
    [
      'desired',
      desired === null
        ? 'not known yet'
        : `revision ${desired.revision}, ${desired.rendering ?? 'not rendered'}`,
    ],
    [
      'running',
      running === null
        ? 'without evidence'
        : `revision ${running.revision}, ${running.rendering} (${running.evidence})`,
    ],
    [
      'good',
      lastKnownGood === null
        ? 'nothing was confirmed yet'
        : `revision ${lastKnownGood.revision}, confirmed ${lastKnownGood.at}`,
    ],
    ...(pinned ? [['pinned', pin ? shownPin(pin) : 'to a generation'] as const] : []),
    ...(blocked === 0
      ? []
      : [['blocked', `${blocked} known not to work; see "config-sidecar history"`] as const]),
    ...sources.map((source) => ['source', describeFollowed(source)] as const),
    ...(template ? [['template', describeFollowed(template)] as const] : []),
    ...describeProcesses(target.processes ?? []),
    ...describeDifference(target.difference ?? ''),
  ];
}

function describeTrial({ since, until, waitsFor }: TrialStatus): string {
  const what = waitsFor.length === 0 ? 'nothing' : waitsFor.join(', ');
  return `on trial since ${since}, until ${until} at the latest, for ${what}`;
}

/** What a command or hook printed about the current outcome. */
function printedBy({ outcome, history }: SeenTarget): readonly string[] {
  const [latest] = history;
  if (latest === undefined || latest.outcome !== outcome || !latest.output) return [];
  return latest.output
    .trimEnd()
    .split('\n')
    .map((line) => `  | ${line}`);
}

function describeFollowed({ url, up, lastContactAt, note, error }: SourceStatus): string {
  const contact = lastContactAt === null ? 'never reached' : `last contact ${lastContactAt}`;
  const version = note === undefined ? '' : ` (${note})`;
  return `${url}: ${up ? 'up' : 'down'}, ${contact}${version}${error === null ? '' : `: ${withCode(error.message, error.code)}`}`;
}

/** Longer ones are on the page and in `status --json`. */
const MOST_LINES = 40;

function describeDifference(text: string): readonly (readonly [string, string])[] {
  if (text === '') return [];
  const lines = text.trimEnd().split('\n');
  const more = lines.length - MOST_LINES;
  return [
    ['difference', 'the source has, and the volume does not show:'],
    ...lines.slice(0, MOST_LINES).map((line) => ['', line] as const),
    ...(more > 0 ? [['', `… ${more} more lines; see "config-sidecar diff"`] as const] : []),
  ];
}

/** More are in `status --json`. */
const MOST_LISTED = 12;

function describeProcesses(all: readonly VisibleProcess[]): readonly (readonly [string, string])[] {
  const more = all.length - MOST_LISTED;
  return [
    ...all.slice(0, MOST_LISTED).map(describeProcess),
    ...(more > 0 ? [`  and ${more} more; see "config-sidecar status --json"`] : []),
  ].map((line, i) => [i === 0 ? 'processes' : '', line] as const);
}

function describeProcess(one: VisibleProcess): string {
  const { pid, program, user, ageSeconds, isApplication } = one;
  const memory = shownMemory(one);
  const parts = [
    ...(user === null ? [] : [`user ${user}`]),
    ...(ageSeconds === null ? [] : [ageOfSeconds(ageSeconds)]),
    ...(memory === '' ? [] : [memory]),
  ];
  const more = parts.length === 0 ? '' : ` (${parts.join(', ')})`;
  return `${isApplication ? '*' : ' '} ${pid} ${program}${more}`;
}
