// The `status` command's side: asks the sidecar that runs here, and puts its answer into words.
import { toSidecarError } from './errors.ts';
import { request } from './http.ts';
import type { Listen } from './settings/web.ts';
import type { SourceStatus, Status, TargetStatus } from './status.ts';

const ASK_MS = 3_000;
const MAX_BYTES = 4 * 1024 * 1024;

/** The status, or a sentence that says why there is none. */
export async function askStatus(listen: Listen): Promise<Status | string> {
  if (listen === 'off') return 'Cannot ask for the status: LISTEN is off.';
  const host =
    listen.host === null || listen.host === '0.0.0.0' || listen.host === '::' ? 'localhost' : listen.host;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${listen.port}/status`;
  try {
    const { signal } = new AbortController();
    const { status, body } = await request({
      method: 'GET',
      url,
      timeoutMs: ASK_MS,
      maxBytes: MAX_BYTES,
      signal,
    });
    if (status !== 200)
      return `Cannot ask for the status: "${url}" answered ${status}; is it a config-sidecar?`;
    return JSON.parse(body.toString()) as Status;
  } catch (thrown) {
    return `Cannot ask for the status: no sidecar answers at "${url}" (${toSidecarError(thrown).message})`;
  }
}

/** The status for a person. */
export function describeStatus({ version, instance, ready, fresh, targets }: Status): string {
  const head = `config-sidecar ${version} ${instance}: ${ready ? 'ready' : 'not ready'}, ${fresh ? 'fresh' : 'not fresh'}\n`;
  return (
    head +
    Object.entries(targets)
      .map(([name, target]) => describeTarget(name, target))
      .join('')
  );
}

function describeTarget(name: string, target: TargetStatus): string {
  const { outcome, message, desired, running, reloadOwed, nextAttemptAt, sources, template } = target;
  const lines = [
    `${name}: ${outcome ?? 'starting'}${message === '' ? '' : `: ${message}`}`,
    `  desired  ${desired === null ? 'not known yet' : `revision ${desired.revision}, ${desired.rendering ?? 'not rendered'}`}`,
    `  running  ${running === null ? 'without evidence' : `revision ${running.revision}, ${running.rendering} (${running.evidence})`}`,
    ...(reloadOwed
      ? [`  a reload is owed${nextAttemptAt === null ? '' : `, next try ${nextAttemptAt}`}`]
      : []),
    ...sources.map((source) => describeFollowed('source  ', source)),
    ...(template === null ? [] : [describeFollowed('template', template)]),
  ];
  return `${lines.join('\n')}\n`;
}

function describeFollowed(what: string, { url, up, lastContactAt, error }: SourceStatus): string {
  const contact = lastContactAt === null ? 'never reached' : `last contact ${lastContactAt}`;
  return `  ${what} ${url}: ${up ? 'up' : 'down'}, ${contact}${error === null ? '' : `: ${error.message}`}`;
}
