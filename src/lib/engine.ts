// How the JavaScript engine spends processor time and memory: a sidecar runs much code seldom, not little code often.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of bytecode that a function runs before it is optimised: some twenty times the default. V8 of Node.js 20 counts them. */
const BUDGET = 1_500_000;
/** The compilers behind the interpreter, as V8 of Node.js 20 and of later versions names them. */
const COMPILERS = /^11\./.test(process.versions.v8)
  ? ['opt', 'sparkplug']
  : ['turbofan', 'maglev', 'sparkplug'];

/**
 * Lets the engine only interpret. A change runs through thousands of lines once: to compile them costs more processor time than
 * the compiled code ever gives back, and the compilers weigh some 5 MiB. To be called first.
 */
export function onlyInterpret(): void {
  for (const compiler of COMPILERS) setFlagsFromString(`--no-${compiler}`);
}

let isCompiling = false;

/** Lets the engine compile what is hot in earnest, from now on: the loops over ten thousand keys are. */
export function compileWhatIsHot(): void {
  if (isCompiling) return;
  isCompiling = true;
  for (const compiler of COMPILERS) setFlagsFromString(`--${compiler}`);
  if (COMPILERS.includes('opt')) setFlagsFromString(`--interrupt-budget=${BUDGET}`);
}

/** Frees what is not used any more, which takes some 15 ms of processor time. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
}

/** With these, a collection frees all code that does not run at that moment, and gives back pages that are half empty. */
const THOROUGHLY = ['stress-flush-code', 'compact-on-every-full-gc'];

/**
 * Frees the code as well, most of which only the start needed. What is needed again is compiled again, function by function: the
 * next change takes some 12 ms longer.
 */
function collectGarbageAndCode(): void {
  for (const flag of THOROUGHLY) setFlagsFromString(`--${flag}`);
  collectGarbage();
  for (const flag of THOROUGHLY) setFlagsFromString(`--no-${flag}`);
}

/** Fewer pieces of work leave little behind. */
const MUCH_WORK = 100;
/** Milliseconds without work, after which it is over. */
const QUIET_MS = 10_000;

export interface Freeing {
  /** When the start is over, which has read the settings and loaded the source. Default: frees its code as well. */
  readonly afterStart?: () => void;
  /** When much work is over. Default: keeps the code, for the next change. */
  readonly afterWork?: () => void;
}

/**
 * To be called at the start and at each piece of work: when the start, or much work, is over, the memory it took is freed, which
 * the engine leaves for later.
 */
export function freesAfterWork({
  afterStart = collectGarbageAndCode,
  afterWork = collectGarbage,
}: Freeing = {}): () => void {
  let free = afterStart;
  let pieces = MUCH_WORK;
  let timer: NodeJS.Timeout | null = null;
  const end = (): void => {
    if (pieces < MUCH_WORK) return;
    pieces = 0;
    free();
    free = afterWork;
  };
  return () => {
    pieces += 1;
    timer ??= setTimeout(end, QUIET_MS).unref();
    timer.refresh();
  };
}
