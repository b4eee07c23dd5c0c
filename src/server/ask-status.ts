// The `status` command's side: asks the sidecar that runs here, and puts its answer into words.
import { visible } from '../lib/bounds.ts';
import { toSidecarError } from '../lib/errors.ts';
import { request } from '../lib/http/http.ts';
import { trustIn } from '../settings/presets/describe.ts';
import type { Listen } from '../settings/web.ts';
import type { SeenStatus, SeenTarget, SourceStatus, TrialStatus } from './status.ts';

const ASK_MS = 3_000;
const MAX_BYTES = 4 * 1024 * 1024;

/** Where a sidecar may answer, and what it is asked. */
export interface Whereabouts {
  /** The paths of its control sockets; none where they are not known. */
  readonly sockets: readonly string[];
  readonly listen: Listen;
  /** The target that is asked for; null: all of them. */
  readonly target: string | null;
}

/**
 * The status, or a sentence that says why there is none. The sockets are asked first: they show everything, and belong to
 * the one sidecar that holds the lock of the output.
 */
export async function askSidecar({ sockets, listen, target }: Whereabouts): Promise<SeenStatus | string> {
  const path = `/status${target === null ? '' : `?target=${encodeURIComponent(target)}`}`;
  const failures: string[] = [];
  if (sockets.length > 0) {
    const { askStatusOverSocket } = await import('./ask-socket.ts');
    for (const socket of sockets) {
      try {
        return await askStatusOverSocket(socket, path);
      } catch (thrown) {
        failures.push(toSidecarError(thrown, 'control').message);
      }
    }
  }
  const found = await askListen(listen, path);
  if (typeof found !== 'string') return found;
  const [first] = failures;
  return first === undefined
    ? `Cannot get the status: ${found}`
    : `Cannot get the status: ${first} Also, ${found}`;
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
    if (status === 404) return visible(body.toString().trim());
    if (status !== 200) return `"${url}" answered ${status}; is it a config-sidecar?`;
    return JSON.parse(body.toString()) as SeenStatus;
  } catch (thrown) {
    return `no sidecar answers at "${url}" (${toSidecarError(thrown).message})`;
  }
}

/** The status for a person. What comes from the data holds no character that a terminal obeys. */
export function describeStatus(status: SeenStatus): string {
  return visible(describe(status), { keepsLines: true });
}

function describe({ version, instance, ready, fresh, targets }: SeenStatus): string {
  const head = `config-sidecar ${version} ${instance}: ${ready ? 'ready' : 'not ready'}, ${fresh ? 'fresh' : 'not fresh'}\n`;
  return (
    head +
    Object.entries(targets)
      .map(([name, target]) => describeTarget(name, target))
      .join('')
  );
}

function describeTarget(name: string, target: SeenTarget): string {
  const { outcome, message, desired, running, reloadOwed, nextAttemptAt, sources, template, preset } = target;
  const tried = !target.trial ? [] : [`${name}: ${describeTrial(target.trial)}; before that:`];
  const lines = [
    ...tried,
    `${name}: ${outcome ?? 'starting'}${message === '' ? '' : `: ${message}`}`,
    ...printedBy(target),
    `  desired  ${desired === null ? 'not known yet' : `revision ${desired.revision}, ${desired.rendering ?? 'not rendered'}`}`,
    `  running  ${running === null ? 'without evidence' : `revision ${running.revision}, ${running.rendering} (${running.evidence})`}`,
    ...describeKept(target),
    ...(reloadOwed
      ? [`  a reload is owed${nextAttemptAt === null ? '' : `, next try ${nextAttemptAt}`}`]
      : []),
    ...sources.map((source) => describeFollowed('source  ', source)),
    ...(!template ? [] : [describeFollowed('template', template)]),
    ...(preset === null ? [] : [`  preset   ${preset.name}: ${preset.application}, ${trustIn(preset)}`]),
  ];
  return `${lines.join('\n')}\n`;
}

function describeTrial({ since, until, waitsFor }: TrialStatus): string {
  const what = waitsFor.length === 0 ? 'nothing' : waitsFor.join(', ');
  return `on trial since ${since}, until ${until} at the latest, for ${what}`;
}

/** What a command or hook printed about the outcome that stands. */
function printedBy({ outcome, history }: SeenTarget): readonly string[] {
  const [latest] = history;
  if (latest === undefined || latest.outcome !== outcome || !latest.output) return [];
  return latest.output
    .trimEnd()
    .split('\n')
    .map((line) => `  | ${line}`);
}

function describeKept({
  lastKnownGood,
  pinned: isPinned,
  generations,
  blocked = [],
}: SeenTarget): readonly string[] {
  const pinned = generations?.find((one) => one.pinned);
  const what = pinned === undefined ? 'a generation' : `generation ${pinned.generation}`;
  const see = 'see "config-sidecar history"';
  return [
    `  good     ${lastKnownGood === null ? 'nothing was confirmed yet' : `revision ${lastKnownGood.revision}, confirmed ${lastKnownGood.at}`}`,
    ...(isPinned ? [`  pinned to ${what} until "config-sidecar resume"`] : []),
    ...(blocked.length === 0 ? [] : [`  blocked  ${blocked.length} known not to work; ${see}`]),
  ];
}

function describeFollowed(what: string, { url, up, lastContactAt, error }: SourceStatus): string {
  const contact = lastContactAt === null ? 'never reached' : `last contact ${lastContactAt}`;
  return `  ${what} ${url}: ${up ? 'up' : 'down'}, ${contact}${error === null ? '' : `: ${error.message}`}`;
}
