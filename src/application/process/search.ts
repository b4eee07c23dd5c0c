// Searches command lines for a regular expression, in bounded time: other processes write the lines.
import { createHash } from 'node:crypto';
import { createContext, Script } from 'node:vm';

/** The searches of one look: what was found is remembered until it is over. */
export interface Search {
  /** Whether the text matches; false as well when that took too long to find out. */
  readonly test: (text: string) => boolean;
  /** Searches all of these at once, which is much cheaper than one after another. */
  readonly prepare: (texts: readonly string[]) => void;
  /** How many texts took too long. */
  readonly countSlow: () => number;
}

/** What one text may cost, in milliseconds of processor time: on a machine that is short of it, everything takes long. */
const SLOW_MS = 50;
/** What texts that take long may cost together at first, and how much of each later second. */
const BUDGET_MS = 400;
const SHARE = 0.03;
/** What a look may cost in any case: enough for all the texts that are as they should be. */
const LEAST_MS = 5;
/** For so long a text that took too long is not searched again. */
const REMEMBER_MS = 10_000;

/** What matched once matches again: a look that is urgent has nothing to search, as long as nothing has changed. */
const MAX_KEPT = 16;
/** Others write the texts: of more, the oldest are forgotten. */
const MAX_SLOW = 128;

/** Makes searches for one expression; they share what they know of texts that match, or take too long. */
export function createSearches(pattern: RegExp): () => Search {
  const find = createFinder(pattern);
  const memory: Memory = { matching: new Set(), slow: new Map(), leftMs: BUDGET_MS, atMs: performance.now() };
  return () => {
    const nowMs = performance.now();
    memory.leftMs = Math.min(BUDGET_MS, memory.leftMs + (nowMs - memory.atMs) * SHARE);
    memory.atMs = nowMs;
    for (const [key, until] of memory.slow) if (nowMs > until) memory.slow.delete(key);
    return createSearch(find, memory);
  };
}

interface Memory {
  readonly matching: Set<string>;
  /** Digests of texts, with when they may be searched again. */
  readonly slow: Map<string, number>;
  leftMs: number;
  atMs: number;
}

function createSearch(find: Find, memory: Memory): Search {
  const known = new Map([...memory.matching].map((text) => [text, true]));
  let slow = 0;
  const giveUp = (texts: readonly string[]): void => {
    for (const text of texts) known.set(text, false);
    slow += texts.length;
  };
  const prepare = (texts: readonly string[]): void => {
    const all = [...new Set(texts)].filter((text) => !known.has(text));
    const avoided = new Set(memory.slow.size === 0 ? [] : all.filter((text) => memory.slow.has(keyOf(text))));
    giveUp([...avoided]);
    // Shortest first: what somebody made long to keep us busy comes last.
    let rest = all.filter((text) => !avoided.has(text)).sort((a, b) => a.length - b.length);
    while (rest.length > 0) {
      const isRich = memory.leftMs >= SLOW_MS;
      const { hits, wastedMs } = find(rest, isRich ? SLOW_MS : LEAST_MS);
      memory.leftMs -= wastedMs;
      hits.forEach((isHit, index) => void known.set(rest[index] ?? '', isHit));
      remember(
        memory,
        rest.filter((_, index) => hits[index] === true),
      );
      rest = rest.slice(hits.length);
      // Without an allowance, the others have done nothing wrong: they are given up for this look only.
      const stopped = rest.slice(0, isRich ? 1 : rest.length);
      if (isRich) avoid(memory, stopped);
      giveUp(stopped);
      rest = rest.slice(stopped.length);
    }
  };
  const test = (text: string): boolean => {
    if (!known.has(text)) prepare([text]);
    return known.get(text) ?? false;
  };
  return { prepare, test, countSlow: () => slow };
}

function remember({ matching }: Memory, texts: readonly string[]): void {
  for (const text of texts) {
    if (matching.size >= MAX_KEPT) matching.clear();
    matching.add(text);
  }
}

function avoid({ slow }: Memory, texts: readonly string[]): void {
  for (const text of texts) {
    const [oldest] = slow.keys();
    if (slow.size >= MAX_SLOW && oldest !== undefined) slow.delete(oldest);
    slow.set(keyOf(text), performance.now() + REMEMBER_MS);
  }
}

function keyOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

interface Searched {
  /** For as many texts, from the first on, as could be searched. */
  readonly hits: readonly boolean[];
  /** What the one that could not has cost. */
  readonly wastedMs: number;
}

type Find = (texts: readonly string[], limitMs: number) => Searched;

/** A search cannot be stopped from outside, except by the timer of a context of its own. */
function createFinder(pattern: RegExp): Find {
  const work: { texts: readonly string[]; hits: boolean[] } = { texts: [], hits: [] };
  const script = new Script(
    'for (let at = work.hits.length; at < work.texts.length; at += 1) work.hits.push(work.texts[at].search(pattern) >= 0);',
  );
  const context = createContext({ work, pattern });
  return (texts, limitMs) => {
    work.texts = texts;
    work.hits = [];
    let wastedMs = 0;
    while (work.hits.length < texts.length && wastedMs < limitMs) {
      const before = { hits: work.hits.length, ms: processorMs() };
      try {
        script.runInContext(context, { timeout: limitMs });
      } catch {
        // The time is over, on the clock; that of the processor is what counts.
        const spentMs = processorMs() - before.ms;
        wastedMs = work.hits.length === before.hits ? wastedMs + spentMs : 0;
      }
    }
    work.texts = [];
    return { hits: work.hits, wastedMs };
  };
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
