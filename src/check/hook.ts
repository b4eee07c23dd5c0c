// Whether the hook could be used: its server accepts connections, its program can be started. It is never used here.
import type { CommandHook, HttpHook } from '../application/reload/hook.ts';
import { hookOf } from '../application/reload/settings.ts';
import { toSidecarError } from '../lib/errors.ts';
import { maskUrl } from '../lib/mask.ts';
import { explainProgram } from '../lib/program.ts';
import type { SeenStatus } from '../server/status-shape.ts';
import { connectTo, TLS_ADVICE } from './connect.ts';
import { type CheckContext, type Finding, fail, failure, ok } from './finding.ts';

/** `status`: what the sidecar that runs here says; null when none does. It has used the hook, which a check never does. */
export async function checkHook(
  { loaded, env, signal }: CheckContext,
  status: SeenStatus | null = null,
): Promise<readonly Finding[]> {
  const known = status === null ? [] : knownFailures(status);
  if (known.length > 0) return known;
  try {
    const hook = hookOf(loaded, env);
    if (hook?.kind === 'http') return [await checkHttp(hook, signal)];
    if (hook?.kind === 'command') return [checkCommand(hook)];
    return [];
  } catch (thrown) {
    return [failure('hook', thrown, 'Correct what it names.')];
  }
}

/** Codes of what a hook answered, or did not. */
const OF_HOOK = /^(?:http\.|reload\.(?:status|command|timeout|not-found|tls)$)/;

function knownFailures({ targets }: SeenStatus): readonly Finding[] {
  return Object.values(targets).flatMap(({ outcome, code, message, reloadOwed }) => {
    const isFailing = reloadOwed || outcome === 'refused';
    if (!isFailing || code === null || !OF_HOOK.test(code)) return [];
    const sentence = `The sidecar that runs here has used the hook and failed: ${message}`;
    return [
      fail('hook', code, sentence, 'Correct what it names. "config-sidecar sync" then tries it at once.'),
    ];
  });
}

async function checkHttp({ url, method, timeoutMs, tls }: HttpHook, signal: AbortSignal): Promise<Finding> {
  try {
    await connectTo(new URL(url), { timeoutMs, signal, identity: tls?.() ?? {} });
  } catch (thrown) {
    const { code, message } = toSidecarError(thrown, 'reload');
    const isFile = code === 'reload.tls';
    const sentence = isFile ? `${message}.` : `Cannot reach RELOAD_URL "${maskUrl(url)}": ${message}.`;
    return fail('hook', code, sentence, MEND[code] ?? START);
  }
  const message = `RELOAD_URL "${maskUrl(url)}" accepts connections; ${method} was not sent.`;
  return ok('hook', 'hook.reachable', message);
}

const START =
  'Start the application, or correct host, port and scheme in RELOAD_URL; until it answers, the reload stays owed.';

const MEND: Readonly<Record<string, string>> = {
  'http.dns': 'Correct the host in RELOAD_URL: within a pod it is 127.0.0.1.',
  ...TLS_ADVICE,
};

function checkCommand({ argv: [program = ''], env }: CommandHook): Finding {
  const problem = explainProgram(program, env['PATH']);
  if (problem === null)
    return ok('hook', 'hook.executable', `RELOAD_COMMAND "${program}" can be started; it was not.`);
  const mend = 'Put the program into the image of the sidecar, or correct RELOAD_COMMAND.';
  return fail('hook', 'reload.not-found', `Cannot reload by "${program}": ${problem}.`, mend);
}
