// Searches command lines for a regular expression, in bounded time: other processes write the lines.
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
/** What all texts of one look may cost together. */
const BUDGET_MS = 400;
/** For so long nobody asks again for a text that took too long. */
const REMEMBER_MS = 10_000;

/** What matched once matches again: a look that is urgent has nothing to search, as long as nothing has changed. */
const MAX_KEPT = 16;

/** Makes searches for one expression; they share what they know of texts that match, or take too long. */
export function createSearches(pattern: RegExp): () => Search {
  const find = createFinder(pattern);
  const memory: Memory = { matching: new Set(), slow: new Set(), forgetAt: 0 };
  return () => {
    if (performance.now() > memory.forgetAt) memory.slow.clear();
    return createSearch(find, memory);
  };
}

interface Memory {
  readonly matching: Set<string>;
  readonly slow: Set<string>;
  forgetAt: number;
}

function createSearch(find: Find, memory: Memory): Search {
  const known = new Map([...memory.matching].map((text) => [text, true]));
  const allowance = { leftMs: BUDGET_MS };
  let slow = 0;
  const giveUp = (texts: readonly string[]): void => {
    for (const text of texts) known.set(text, false);
    slow += texts.length;
  };
  const prepare = (texts: readonly string[]): void => {
    const all = [...new Set(texts)].filter((text) => !known.has(text));
    giveUp(all.filter((text) => memory.slow.has(text)));
    let rest = all.filter((text) => !memory.slow.has(text));
    while (rest.length > 0) {
      const hits = find(rest, allowance);
      hits.forEach((isHit, index) => void known.set(rest[index] ?? '', isHit));
      remember(
        memory,
        rest.filter((_, index) => hits[index] === true),
      );
      rest = rest.slice(hits.length);
      // Out of allowance, the others have done nothing wrong: they are given up for this look only.
      const stopped = rest.slice(0, allowance.leftMs > 0 ? 1 : rest.length);
      if (allowance.leftMs > 0) avoid(memory, stopped);
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

function avoid(memory: Memory, texts: readonly string[]): void {
  for (const text of texts) memory.slow.add(text);
  if (texts.length > 0) memory.forgetAt = performance.now() + REMEMBER_MS;
}

type Find = (texts: readonly string[], allowance: { leftMs: number }) => readonly boolean[];

/**
 * Answers for as many texts, from the first on, as could be searched within what each and all may cost. A search cannot be
 * stopped from outside, except by the timer of a context of its own.
 */
function createFinder(pattern: RegExp): Find {
  const work: { texts: readonly string[]; hits: boolean[] } = { texts: [], hits: [] };
  const script = new Script(
    'for (let at = work.hits.length; at < work.texts.length; at += 1) work.hits.push(work.texts[at].search(pattern) >= 0);',
  );
  const context = createContext({ work, pattern });
  return (texts, allowance) => {
    work.texts = texts;
    work.hits = [];
    let costMs = 0;
    while (work.hits.length < texts.length && costMs < SLOW_MS && allowance.leftMs > 0) {
      const before = { hits: work.hits.length, ms: processorMs() };
      try {
        script.runInContext(context, { timeout: SLOW_MS });
      } catch {
        // The time is over, on the clock; that of the processor is what counts.
        const spentMs = processorMs() - before.ms;
        costMs = work.hits.length === before.hits ? costMs + spentMs : 0;
        allowance.leftMs -= spentMs;
      }
    }
    return work.hits;
  };
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
