// One pass: from the source to the application, then an exit code.
import { EXIT, EXIT_BY_OUTCOME } from './exit-codes.ts';
import { type Keeping, type KeepOptions, keep } from './keep.ts';
import { errorFields } from './log.ts';
import { LOCKED } from './state-directory.ts';
import type { Waiting } from './target.ts';
import { sleep } from './wait.ts';

/**
 * Asks the source until ONCE_TIMEOUT, applies what it says, and resolves to the exit code. An application or a hook
 * that is not there yet is no failure; a refusal ends at once.
 */
export async function once(options: KeepOptions, signal: AbortSignal): Promise<number> {
  let settle: (code: number) => void = () => {};
  const settled = new Promise<number>((resolve) => {
    settle = resolve;
  });
  let keeping: Keeping | null = null;
  const onWait = (waiting: Waiting): void => {
    const code = keeping === null ? undefined : verdict(keeping, waiting);
    if (code !== undefined) settle(code);
  };
  keeping = keep({ ...options, onWait });
  const timeUp = new AbortController();
  // Ended before it was done: not 0, or an init container would let the application start without a configuration.
  signal.addEventListener('abort', () => settle(EXIT.unexpected), { once: true });
  void sleep(options.loaded.settings.ONCE_TIMEOUT, timeUp.signal).then(() => {
    if (!timeUp.signal.aborted && keeping !== null) settle(outOfTime(keeping, options));
  });
  const code = await settled;
  timeUp.abort();
  await keeping.stop();
  return code;
}

/** What the pass has come to, or undefined while it is under way. */
function verdict({ target }: Keeping, { owed, obstacle, settling, lastReload }: Waiting): number | undefined {
  const { current } = target.attempts;
  const isUnderWay = owed && obstacle === null && lastReload === null;
  if (current === null || current.code === LOCKED || settling || isUnderWay) return undefined;
  if (current.outcome === 'failed' && current.stage !== 'reload') return EXIT.publishing;
  // Telling of what was published before is not the pass: the source has not answered yet.
  if (target.desired === null) return undefined;
  if (current.outcome !== 'failed') return EXIT_BY_OUTCOME[current.outcome];
  // What is not there yet reads the file when it starts, and the sidecar that runs beside it tells the rest.
  return lastReload === 'unavailable' ? EXIT.done : EXIT.reload;
}

function outOfTime({ source, template, target }: Keeping, { log }: KeepOptions): number {
  const { url } = source.state();
  const error = source.state().error ?? template?.state().error ?? null;
  const { current } = target.attempts;
  if (current?.outcome === 'failed' && current.stage !== 'reload') return EXIT.publishing;
  log.error('out of time', { source: url, ...(error === null ? {} : errorFields(error)) });
  return error === null ? EXIT.reload : EXIT.source;
}
