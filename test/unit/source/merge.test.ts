// Several followed sources that look like one: when there is data, what an outage of one does, and what is reported of each.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import { sleep } from '../../../src/lib/wait.ts';
import { follow, type SourceState, statesOf } from '../../../src/source/follow.ts';
import { groupOf } from '../../../src/source/merge.ts';
import { SourcePool } from '../../../src/source/pool.ts';
import type { Merged, Observation, SourcePart, TargetSnapshot } from '../../../src/source/provider.ts';
import { readOnce } from '../../../src/source/read-once.ts';

/** A source that says what the test lets it say. */
class Source {
  readonly part: SourcePart;
  #said: (Observation | SidecarError)[] = [];
  #ring: () => void = () => undefined;

  constructor(url: string, name: string | null = null) {
    const provider = { source: url, watch: (signal: AbortSignal) => this.#watch(signal) };
    this.part = { name, optional: false, format: undefined, provider };
  }

  says(revision: string): void {
    this.#say({
      kind: 'snapshot',
      snapshot: {
        revision,
        content: { kind: 'tree', entries: [{ key: 'k', value: Buffer.from(revision) }] },
      },
    });
  }

  saysTheSame(): void {
    this.#say({ kind: 'same' });
  }

  fails(): void {
    const message = `Cannot read "${this.part.provider.source}": gone`;
    this.#say(new SidecarError(message, { code: 'source.unreachable', stage: 'source', retryAfterMs: 100 }));
  }

  #say(what: Observation | SidecarError): void {
    this.#said.push(what);
    this.#ring();
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<Observation, void, void> {
    while (!signal.aborted) {
      const next = this.#said.shift();
      if (next instanceof SidecarError) throw next;
      if (next !== undefined) yield next;
      else {
        const woken = new AbortController();
        this.#ring = () => woken.abort();
        signal.addEventListener('abort', this.#ring);
        await sleep(60_000, woken.signal);
      }
    }
  }
}

interface Watched {
  readonly state: () => SourceState;
  readonly states: () => readonly SourceState[];
  readonly news: string[];
  readonly stop: () => Promise<void>;
}

let now = 1_000;

function start(sources: readonly Source[]): Watched {
  const controller = new AbortController();
  const news: string[] = [];
  const options = {
    signal: controller.signal,
    now: () => now,
    random: () => 0,
    onNews: ({ url }: SourceState, what: string) => void news.push(`${url} ${what}`),
  };
  const followed = follow(groupOf(sources.map(({ part }) => part)), options, new SourcePool());
  const stop = async (): Promise<void> => {
    controller.abort();
    await followed.done;
  };
  return { state: followed.state, states: () => statesOf(followed), news, stop };
}

/** Lets everything happen that is under way. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

const revisionsOf = (snapshot: TargetSnapshot | null): readonly string[] | null => {
  if (snapshot === null) return null;
  const { parts } = snapshot.content as Merged;
  return parts.map((part) => `${part.source} ${part.snapshot.revision}`);
};

describe('several sources', () => {
  it('give nothing before all have answered once, and then the newest of each', async () => {
    const [a, b] = [new Source('a://'), new Source('b://', 'n')];
    const { state, stop } = start([a, b]);
    expect(state()).toMatchObject({ url: 'a:// n=b://', up: false, lastContactAt: null });
    a.says('1');
    await settled();
    expect(state()).toMatchObject({ up: false, snapshot: null, lastContactAt: null, lastChangeAt: 1_000 });
    now = 2_000;
    b.says('7');
    await settled();
    expect(state()).toMatchObject({ up: true, error: null, lastContactAt: 1_000, lastChangeAt: 2_000 });
    expect(state().snapshot?.revision).toBe('1,7');
    b.says('8');
    await settled();
    expect(revisionsOf(state().snapshot)).toEqual(['a:// 1', 'b:// 8']);
    await stop();
  });

  it('keep the same snapshot while none of them has another one', async () => {
    const [a, b] = [new Source('a://'), new Source('b://')];
    const { state, stop } = start([a, b]);
    a.says('1');
    b.says('1');
    await settled();
    const { snapshot } = state();
    a.saysTheSame();
    b.fails();
    await settled();
    expect(state().snapshot).toBe(snapshot);
    await stop();
  });

  it('go on when one is down: it keeps its last snapshot, and is what has been silent', async () => {
    const [a, b] = [new Source('a://'), new Source('b://')];
    const { state, states, news, stop } = start([a, b]);
    now = 5_000;
    a.says('1');
    b.says('1');
    await settled();
    a.fails();
    await settled();
    now = 9_000;
    b.says('2');
    await settled();
    expect(revisionsOf(state().snapshot)).toEqual(['a:// 1', 'b:// 2']);
    expect(state()).toMatchObject({ up: false, lastContactAt: 5_000, lastChangeAt: 9_000, nextTryAt: 5_100 });
    expect(state().error?.message).toBe('Cannot read "a://": gone');
    expect(state().errors).toEqual({ 'source.unreachable': 1 });
    expect(states().map(({ url, up }) => [url, up])).toEqual([
      ['a://', false],
      ['b://', true],
    ]);
    expect(news).toEqual([
      'a:// up',
      'a:// snapshot',
      'b:// up',
      'b:// snapshot',
      'a:// down',
      'b:// snapshot',
    ]);
    await stop();
  });

  it('are not held to have failed by one that is down, while another has not answered at all yet', async () => {
    const [a, b] = [new Source('a://'), new Source('b://')];
    const { state, stop } = start([a, b]);
    a.says('1');
    a.fails();
    await settled();
    expect(state()).toMatchObject({ up: false, snapshot: null, error: null });
    b.fails();
    await settled();
    expect(state().error?.message).toBe('Cannot read "b://": gone');
    await stop();
  });

  it('come to the same in whatever order they answer', async () => {
    const orders = fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6 });
    await fc.assert(
      fc.asyncProperty(orders, async (order) => {
        const sources = [new Source('a://'), new Source('b://'), new Source('c://')];
        const { state, stop } = start(sources);
        const said = [0, 0, 0];
        for (const at of order) {
          const which = at % 3;
          said[which] = (said[which] ?? 0) + 1;
          sources[which]?.says(String(said[which]));
          await settled();
          expect(state().snapshot === null).toBe(said.includes(0));
        }
        expect(revisionsOf(state().snapshot)).toEqual(['a:// 2', 'b:// 2', 'c:// 2']);
        await stop();
      }),
      { numRuns: 50 },
    );
  });

  it('are read once by commands, all of them or none', async () => {
    const [a, b] = [new Source('a://'), new Source('b://')];
    a.says('1');
    b.says('2');
    const group = groupOf([a.part, b.part]);
    expect(revisionsOf(await readOnce(group, 1_000))).toEqual(['a:// 1', 'b:// 2']);
    a.says('1');
    b.fails();
    await expect(readOnce(group, 1_000)).rejects.toThrow('Cannot read "b://": gone');
  });
});
