// Runs the user's command to check the staged configuration before it is published.
import { type CommandResult, runCommand } from '../lib/command.ts';
import { SidecarError } from '../lib/errors.ts';

export interface ValidateCommand {
  /** `VALIDATE_COMMAND` in words; `{path}` is replaced wherever it stands. */
  readonly argv: readonly string[];
  /** The staged copy. */
  readonly path: string;
  /** The whole environment of the command. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `VALIDATE_TIMEOUT`. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Takes our own secrets out of what it printed. */
  readonly mask: (printed: string) => string;
  /** The output it is asked about, where there are several. */
  readonly of?: string | undefined;
  /** What to think of where the command refuses, a clause; it ends the message. */
  readonly hint?: string | undefined;
}

const MAX_OUTPUT_BYTES = 16_384;

/**
 * Resolves when the command exits with 0. Otherwise throws a SidecarError of stage `validate`, with what was printed
 * as its `output`: `validate.command` (it refused, or was killed), `validate.timeout`, `validate.not-found` (it could
 * not be started) or `validate.aborted`.
 */
export async function runValidateCommand({
  argv,
  path,
  of,
  hint,
  mask,
  ...how
}: ValidateCommand): Promise<void> {
  const words = argv.map((word) => word.replaceAll('{path}', () => path));
  const result = await runCommand({ ...how, argv: words, maxOutputBytes: MAX_OUTPUT_BYTES });
  if (result.kind === 'exit' && result.code === 0) return;
  const { code, reason } = explain(result, how.timeoutMs);
  const what = of === undefined ? 'the configuration' : `"${of}"`;
  const aside = hint === undefined || result.kind !== 'exit' ? '' : ` (${hint})`;
  throw new SidecarError(`Cannot accept ${what} by "${words[0] ?? ''}": ${reason}${aside}`, {
    code,
    stage: 'validate',
    ...(result.kind !== 'not-started' && result.output !== '' && { output: mask(result.output) }),
  });
}

function explain(
  result: CommandResult,
  timeoutMs: number,
): { readonly code: string; readonly reason: string } {
  switch (result.kind) {
    case 'exit':
      return { code: 'validate.command', reason: `it exited with ${result.code}` };
    case 'killed':
      return { code: 'validate.command', reason: `it was killed by ${result.signalName}` };
    case 'timeout': {
      const reason = `it took longer than ${timeoutMs / 1000} s (VALIDATE_TIMEOUT) and was killed`;
      return { code: 'validate.timeout', reason };
    }
    case 'aborted':
      return { code: 'validate.aborted', reason: 'the sidecar is stopping' };
    case 'not-started':
      return { code: 'validate.not-found', reason: `${result.reason}; check VALIDATE_COMMAND` };
  }
}
