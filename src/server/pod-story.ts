// What the sidecar reports of outcomes to its own pod: an Event for each that needs a person, one when that is over, and a condition. Pure.
import { cut } from '../lib/bounds.ts';
import { sha256 } from '../lib/sha256.ts';
import type { Outcome, Report } from '../reconcile/journal.ts';

/** An Event as far as it depends on the outcome. */
export interface PodEvent {
  /** Equal for the same thing to say: part of its name, so that the API server takes it once. */
  readonly key: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** The pod's condition `ConfigConfirmed`. */
export interface PodCondition {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** These wait for something that usually comes by itself, or were asked for by hand: no Event. */
const QUIET: readonly Outcome[] = ['pinned', 'held-back', 'no-target'];
const GOOD: readonly Outcome[] = ['applied', 'unchanged', 'picked-up'];
/** What the application runs was confirmed. */
const CONFIRMED: readonly Outcome[] = [...GOOD, 'pinned'];

/** The API server refuses a longer message of an Event. */
const LONGEST_MESSAGE = 1_000;

/** What is remembered of a target. */
interface Known {
  readonly report: Report;
  /** What was said since the last good outcome: an outcome and code each. */
  readonly said: readonly string[];
  /** How often trouble was over. */
  readonly rounds: number;
}

/** Mutable memory of what was said. */
export class PodStory {
  readonly #targets = new Map<string, Known>();
  #wasFalse: boolean;

  /** @param wasFalse whether the condition is False already: an earlier process said why. */
  constructor(wasFalse: boolean) {
    this.#wasFalse = wasFalse;
  }

  /** A new outcome of a target; gives the Events that are due. */
  report(target: string, report: Report): readonly PodEvent[] {
    const { said = [], rounds = 0 } = this.#targets.get(target) ?? {};
    const { outcome, code, attempted, at } = report;
    if (GOOD.includes(outcome)) {
      this.#targets.set(target, { report, said: [], rounds: rounds + Math.sign(said.length) });
      const isOver = said.length > 0 || this.#wasFalse;
      this.#wasFalse = false;
      if (!isOver) return [];
      return [event('Normal', 'ConfigRecovered', { target, report, parts: ['recovered', String(at)] })];
    }
    const one = `${outcome} ${code ?? ''}`;
    const isKnown = QUIET.includes(outcome) || said.includes(one);
    this.#targets.set(target, { report, said: isKnown ? said : [...said, one], rounds });
    if (isKnown) return [];
    const parts = [one, attempted?.rendering ?? attempted?.digest ?? '', String(rounds)];
    return [event('Warning', reasonOf(outcome), { target, report, parts })];
  }

  /** A target that is no longer configured. */
  forget(target: string): void {
    this.#targets.delete(target);
  }

  /** null before the first outcome. */
  condition(): PodCondition | null {
    const all = [...this.#targets];
    const [first] = all;
    if (first === undefined) return null;
    const [target, { report }] = all.find(([, known]) => !CONFIRMED.includes(known.report.outcome)) ?? first;
    const status = CONFIRMED.includes(report.outcome) ? 'True' : 'False';
    return { status, reason: reasonOf(report.outcome), message: sentence(target, report) };
  }
}

interface About {
  readonly target: string;
  readonly report: Report;
  readonly parts: readonly string[];
}

function event(type: PodEvent['type'], reason: string, { target, report, parts }: About): PodEvent {
  const key = sha256([target, ...parts].join('\0')).slice(0, 16);
  return { key, type, reason, message: sentence(target, report) };
}

/** `rolled-back` as `ConfigRolledBack`. */
function reasonOf(outcome: Outcome): string {
  const words = outcome.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `Config${words.join('')}`;
}

function sentence(target: string, { message }: Report): string {
  return cut(target === 'default' ? message : `${target}: ${message}`, LONGEST_MESSAGE);
}
