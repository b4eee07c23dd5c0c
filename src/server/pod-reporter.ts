// Reports outcomes as events of the own pod (KUBERNETES_EVENTS): in order, one at a time, without delaying the loop.
import { SidecarError, toSidecarError } from '../lib/errors.ts';
import { errorFields, type Log } from '../lib/log.ts';
import { RETRY, retryDelay } from '../lib/schedule.ts';
import { sleep } from '../lib/wait.ts';
import type { Report } from '../reconcile/journal.ts';
import { KubernetesFailure } from '../source/kubernetes/failure.ts';
import { type Pod, PodClient, type PodClientOptions } from './pod-client.ts';
import { type PodCondition, type PodEvent, PodStory } from './pod-story.ts';

export interface PodReporter {
  /** A new outcome of a target. Returns at once. */
  report(target: string, report: Report): void;
  /** A target that is no longer configured. */
  forget(target: string): void;
  /** Gives up what is under way. */
  stop(): void;
}

/** Outcomes that wait for the API server; older ones are dropped. */
const MOST_WAITING = 100;

/** Starts a reporter; nothing is sent before the first outcome. */
export function startPodReporter(options: Omit<PodClientOptions, 'signal'>, log: Log): PodReporter {
  return new Reporter(options, log);
}

class Reporter implements PodReporter {
  readonly #client: PodClient;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  readonly #waiting: { readonly target: string; readonly report: Report | null }[] = [];
  #pod: Pod | null = null;
  #story: PodStory | null = null;
  #events: PodEvent[] = [];
  #condition = '';
  #isWorking: boolean = false;
  /** The failure that was logged last: one line for each cause. */
  #logged = '';

  constructor(options: Omit<PodClientOptions, 'signal'>, log: Log) {
    this.#client = new PodClient({ ...options, signal: this.#stopping.signal });
    this.#log = log;
  }

  report(target: string, report: Report): void {
    this.#add({ target, report });
  }

  forget(target: string): void {
    this.#add({ target, report: null });
  }

  stop(): void {
    this.#stopping.abort();
  }

  #add(one: { readonly target: string; readonly report: Report | null }): void {
    this.#waiting.push(one);
    if (this.#waiting.length > MOST_WAITING) this.#waiting.shift();
    if (!this.#isWorking) void this.#work();
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping;
    this.#isWorking = true;
    for (let failures = 0; !signal.aborted; ) {
      try {
        if (!(await this.#step())) break;
        failures = 0;
        this.#logged = '';
      } catch (thrown) {
        if (signal.aborted) break;
        failures += 1;
        this.#complain(thrown);
        await sleep(retryDelay(failures, RETRY, Math.random), signal);
      }
    }
    this.#isWorking = false;
  }

  /** Does one thing. @returns false when there is nothing to do. */
  async #step(): Promise<boolean> {
    this.#pod ??= await this.#client.read();
    this.#story ??= new PodStory(this.#pod.confirmed === 'False');
    const [event] = this.#events;
    if (event !== undefined) {
      await this.#client.say(this.#pod, event);
      this.#events = this.#events.slice(1);
      return true;
    }
    const next = this.#waiting.shift();
    if (next !== undefined) {
      if (next.report === null) this.#story.forget(next.target);
      else this.#events.push(...this.#story.report(next.target, next.report));
      return true;
    }
    const condition = this.#story.condition();
    if (condition === null || textOf(condition) === this.#condition) return false;
    await this.#client.setCondition(condition);
    this.#condition = textOf(condition);
    return true;
  }

  #complain(thrown: unknown): void {
    const error =
      thrown instanceof KubernetesFailure
        ? new SidecarError(`Cannot report to the own pod: ${thrown.message}`, {
            code: 'events.failed',
            stage: 'control',
          })
        : toSidecarError(thrown, 'control');
    if (error.message === this.#logged) return;
    this.#logged = error.message;
    this.#log.warn('events not sent', errorFields(error));
  }
}

function textOf(condition: PodCondition): string {
  return JSON.stringify(condition);
}
