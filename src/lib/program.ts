// Why a program could not be started, by looking at its file: the system says only that something is not there.
import * as fs from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where programs are looked for when PATH is not set (execvp(3)). */
const DEFAULT_PATH = '/bin:/usr/bin';

/**
 * What stands in the way of starting a program, as a clause (`there is no such program`); null when nothing does.
 * @param path The value of PATH in the environment it is to be started with.
 */
export function explainProgram(program: string, path: string | undefined): string | null {
  const candidates = program.includes('/')
    ? [program]
    : (path ?? DEFAULT_PATH).split(delimiter).map((folder) => join(folder || '.', program));
  const there = candidates.filter((one) => fs.statSync(one, { throwIfNoEntry: false })?.isFile() === true);
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
  // To the kernel the carriage return is part of the name, or of the argument.
  const [, interpreter = '', rest = ''] = /^#![ \t]*([^ \t\n]+)([^\n]*)\n/.exec(beginningOf(path)) ?? [];
  if (interpreter === '') return null;
  if (interpreter.endsWith('\r') || rest.endsWith('\r')) {
    return 'its first line ends with CRLF, as on Windows; save the script with LF line ends';
  }
  return fs.existsSync(interpreter) ? null : `its first line names "${interpreter}", which is not there`;
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
