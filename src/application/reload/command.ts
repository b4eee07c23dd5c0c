// Notifies the application by a command; its exit status decides the result.
import { type CommandResult, runCommand } from '../../lib/command.ts';
import type { CommandHook, OwedClass, ReloadContext, ReloadResult } from './hook.ts';

const MAX_OUTPUT_BYTES = 16_384;

/** `EX_TEMPFAIL` of sysexits.h: not now, try again. */
const TRY_AGAIN = 75;

/** Runs the command once; it sees `CONFIG_OUTPUT`, `CONFIG_OUTPUTS`, `CONFIG_REVISION` and `CONFIG_PREVIOUS_REVISION`. */
export async function commandReload(
  { argv, timeoutMs, env }: CommandHook,
  context: ReloadContext,
  signal: AbortSignal,
): Promise<ReloadResult> {
  const told = {
    CONFIG_OUTPUT: context.output,
    CONFIG_OUTPUTS: (context.outputs ?? [context.output]).join('\n'),
    CONFIG_REVISION: context.revision,
    CONFIG_PREVIOUS_REVISION: context.previousRevision ?? '',
  };
  const limits = { timeoutMs, signal, maxOutputBytes: MAX_OUTPUT_BYTES };
  const result = await runCommand({ argv, env: { ...env, ...told }, ...limits });
  if (result.kind === 'exit' && result.code === 0) {
    return { kind: 'told', evidence: 'answered', process: context.process };
  }
  const { reason, ...verdict } = explain(result, timeoutMs);
  return {
    kind: 'owed',
    ...verdict,
    // Only the program's name: arguments may hold secrets.
    message: `Cannot reload by "${argv[0] ?? ''}": ${reason}`,
    ...(result.kind !== 'not-started' && result.output !== '' && { output: result.output }),
  };
}

interface Explanation {
  readonly class: OwedClass;
  readonly code: string;
  readonly reason: string;
}

function explain(result: CommandResult, timeoutMs: number): Explanation {
  switch (result.kind) {
    case 'exit': {
      const kind = result.code === TRY_AGAIN ? 'unavailable' : 'refused';
      return { class: kind, code: 'reload.command', reason: `it exited with ${result.code}` };
    }
    case 'killed':
      return { class: 'refused', code: 'reload.command', reason: `it was killed by ${result.signalName}` };
    case 'timeout': {
      const reason = `it took longer than ${timeoutMs / 1000} s (RELOAD_TIMEOUT) and was killed`;
      return { class: 'unknown', code: 'reload.timeout', reason };
    }
    case 'aborted':
      return { class: 'unknown', code: 'reload.aborted', reason: 'the sidecar is stopping' };
    case 'not-started':
      return {
        class: 'misconfigured',
        code: 'reload.not-found',
        reason: `${result.reason}; check RELOAD_COMMAND`,
      };
  }
}
