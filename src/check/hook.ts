// Whether the hook could be used: its server accepts connections, its program can be started. It is never used here.
import * as fs from 'node:fs';
import { delimiter, join } from 'node:path';
import type { CommandHook, HttpHook } from '../application/reload/hook.ts';
import { hookOf } from '../application/reload/settings.ts';
import { toSidecarError } from '../lib/errors.ts';
import { maskUrl } from '../lib/mask.ts';
import { connectTo } from './connect.ts';
import { type Finding, fail, failure, ok, type Subject } from './finding.ts';

export async function checkHook({ loaded, env, signal }: Subject): Promise<readonly Finding[]> {
  try {
    const hook = hookOf(loaded, env);
    if (hook?.kind === 'http') return [await checkHttp(hook, signal)];
    if (hook?.kind === 'command') return [checkCommand(hook)];
    return [];
  } catch (thrown) {
    return [failure('hook', thrown, 'Correct what it names.')];
  }
}

async function checkHttp({ url, method, timeoutMs }: HttpHook, signal: AbortSignal): Promise<Finding> {
  try {
    await connectTo(new URL(url), { timeoutMs, signal });
  } catch (thrown) {
    const { code, message } = toSidecarError(thrown, 'reload');
    const sentence = `Cannot reach RELOAD_URL "${maskUrl(url)}": ${message}.`;
    return fail('hook', code, sentence, code === 'http.dns' ? CORRECT_HOST : START);
  }
  const message = `RELOAD_URL "${maskUrl(url)}" accepts connections; ${method} was not sent.`;
  return ok('hook', 'hook.reachable', message);
}

const CORRECT_HOST = 'Correct the host in RELOAD_URL: within a pod it is 127.0.0.1.';
const START =
  'Start the application, or correct host, port and scheme in RELOAD_URL; until it answers, the reload stays owed.';

function checkCommand({ argv: [program = ''], env }: CommandHook): Finding {
  const problem = explainProgram(program, env);
  if (problem === null)
    return ok('hook', 'hook.executable', `RELOAD_COMMAND "${program}" can be started; it was not.`);
  const mend = 'Put the program into the image of the sidecar, or correct RELOAD_COMMAND.';
  return fail('hook', 'reload.not-found', `Cannot reload by "${program}": ${problem}.`, mend);
}

/** Where programs are looked for when PATH is not set (execvp(3)). */
const DEFAULT_PATH = '/bin:/usr/bin';

function explainProgram(program: string, env: CommandHook['env']): string | null {
  const folders = (env['PATH'] ?? DEFAULT_PATH).split(delimiter);
  const candidates = program.includes('/')
    ? [program]
    : folders.map((folder) => join(folder || '.', program));
  const there = candidates.filter((path) => fs.statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  if (there.length === 0) return 'there is no such program';
  const executable = there.find(mayExecute);
  if (executable === undefined) return `user ${process.geteuid?.() ?? '?'} may not execute it`;
  return explainInterpreter(executable);
}

function mayExecute(path: string): boolean {
  try {
    fs.accessSync(path, fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The kernel reads no more of a script's first line. */
const FIRST_LINE_BYTES = 256;

/** A script whose interpreter is missing fails with "no such program", though it is there. */
function explainInterpreter(path: string): string | null {
  const [, interpreter] = /^#![ \t]*(\S+)/.exec(beginningOf(path)) ?? [];
  if (interpreter === undefined || fs.existsSync(interpreter)) return null;
  return `its first line names "${interpreter}", which is not there`;
}

function beginningOf(path: string): string {
  try {
    const fd = fs.openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(FIRST_LINE_BYTES);
      return bytes.toString('latin1', 0, fs.readSync(fd, bytes));
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    // It may be executed but not read: then it is a program.
    return '';
  }
}
