// One source, many who follow it: one watch, and everyone hears of everything.
import { expect, onTestFinished, test } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import type { Followed } from '../../../src/source/follower.ts';
import { SourcePool } from '../../../src/source/pool.ts';
import type { Observation, Provider } from '../../../src/source/provider.ts';

/** A source that says what it is asked to say, and counts its watches. */
class Source {
  watches = 0;
  open = 0;
  #said: (() => Observation)[] = [];
  #ring: () => void = () => undefined;

  say(revision: string): void {
    this.#push(() => ({ kind: 'snapshot', snapshot: { revision, content: { kind: 'nothing' } } }));
  }

  fail(): void {
    this.#push(() => {
      throw new SidecarError('it is away', { code: 'source.unreachable', stage: 'source' });
    });
  }

  #push(observation: () => Observation): void {
    this.#said.push(observation);
    this.#ring();
  }

  provider(identity?: string): Provider {
    const watch = this.#watch.bind(this);
    return { source: 'test://', watch, ...(identity !== undefined && { identity }) };
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<Observation, void, void> {
    this.watches += 1;
    this.open += 1;
    try {
      while (!signal.aborted) {
        const next = this.#said.shift();
        if (next !== undefined) yield next();
        else
          await new Promise<void>((resolve) => {
            this.#ring = resolve;
            signal.addEventListener('abort', () => resolve(), { once: true });
          });
      }
    } finally {
      this.open -= 1;
    }
  }
}

interface Follower extends Followed {
  readonly news: string[];
  readonly leave: () => Promise<void>;
}

function join(pool: SourcePool, provider: Provider): Follower {
  const controller = new AbortController();
  const news: string[] = [];
  const followed = pool.follow(provider, {
    signal: controller.signal,
    now: () => 1_000,
    random: () => 1,
    onNews: ({ snapshot, error }, what) => news.push(`${what} ${error?.code ?? snapshot?.revision ?? '-'}`),
  });
  const leave = async (): Promise<void> => {
    controller.abort();
    await followed.done;
  };
  onTestFinished(leave);
  return { ...followed, news, leave };
}

/** Lets everything happen that is under way. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setTimeout(resolve, 20));
}

test('all hear of everything from one watch', async () => {
  const [source, pool] = [new Source(), new SourcePool()];
  const all = [1, 2, 3].map(() => join(pool, source.provider('a')));
  source.say('one');
  await settled();
  source.fail();
  await expect
    .poll(() => all.map(({ news }) => news))
    .toEqual(Array(3).fill(['up -', 'snapshot one', 'down source.unreachable']));
  expect(source.watches).toBe(1);
});

test('one who joins late hears what is known, once', async () => {
  const [source, pool] = [new Source(), new SourcePool()];
  join(pool, source.provider('a'));
  source.say('one');
  await settled();
  const late = join(pool, source.provider('a'));
  expect(late.state().snapshot?.revision).toBe('one');
  await settled();
  await expect.poll(() => late.news).toEqual(['up one', 'snapshot one']);
  source.say('two');
  await settled();
  await expect.poll(() => late.news).toEqual(['up one', 'snapshot one', 'snapshot two']);
  expect(source.watches).toBe(1);
});

test('one who joins before the first answer hears it once', async () => {
  const [source, pool] = [new Source(), new SourcePool()];
  join(pool, source.provider('a'));
  const second = join(pool, source.provider('a'));
  source.say('one');
  await settled();
  await expect.poll(() => second.news).toEqual(['up -', 'snapshot one']);
});

test('who leaves hears no more; the last one ends the watch, and the next begins one', async () => {
  const [source, pool] = [new Source(), new SourcePool()];
  const [first, second] = [join(pool, source.provider('a')), join(pool, source.provider('a'))];
  source.say('one');
  await settled();
  await first.leave();
  source.say('two');
  await settled();
  expect([first.news.at(-1), second.news.at(-1), source.open]).toEqual(['snapshot one', 'snapshot two', 1]);
  await second.leave();
  expect(source.open).toBe(0);
  const third = join(pool, source.provider('a'));
  source.say('three');
  await settled();
  expect([third.news, source.watches]).toEqual([['up -', 'snapshot three'], 2]);
});

test('to sync one is to sync all: the source is read once', async () => {
  const [source, pool] = [new Source(), new SourcePool()];
  const all = [1, 2, 3].map(() => join(pool, source.provider('a')));
  source.say('one');
  await settled();
  for (const { sync } of all) sync();
  await settled();
  expect([source.watches, source.open]).toEqual([2, 1]);
});

test('sources that are not the same, and those of no identity, are followed apart', async () => {
  const [source, pool] = [new Source(), new SourcePool()];
  for (const identity of ['a', 'b', undefined, undefined]) join(pool, source.provider(identity));
  await settled();
  expect(source.open).toBe(4);
});
