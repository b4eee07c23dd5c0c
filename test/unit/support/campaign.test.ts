// The campaign finds what it is for: a store in memory, and providers that each break one promise.
import { describe, expect, it } from 'vitest';
import { sleep } from '../../../src/lib/wait.ts';
import type { Content, Observation, Provider } from '../../../src/source/provider.ts';
import { type CampaignOptions, type Place, runCampaign } from '../../support/campaign/campaign.ts';

/** Keys and values, changed all at once, at a revision that counts up. */
interface Memory {
  readonly held: Map<string, string>;
  revision: number;
  /** The snapshot before the last one. */
  before: Observation;
}

type Look = (memory: Memory, looked: number) => Observation;

const treeOf = (held: ReadonlyMap<string, string>): Content =>
  held.size === 0
    ? { kind: 'nothing' }
    : { kind: 'tree', entries: [...held].map(([key, value]) => ({ key, value: Buffer.from(value) })) };

const snapshot = (held: ReadonlyMap<string, string>, revision: number): Observation => ({
  kind: 'snapshot',
  snapshot: { revision: String(revision), content: treeOf(held) },
});

const honest: Look = ({ held, revision }) => snapshot(held, revision);

function place(look: Look): Place {
  const memory: Memory = { held: new Map(), revision: 0, before: snapshot(new Map(), 0) };
  const provider: Provider = {
    source: 'memory://',
    async *watch(signal) {
      for (let looked = 0; !signal.aborted; looked += 1) {
        yield look(memory, looked);
        await sleep(1, signal);
      }
    },
  };
  return {
    provider,
    proxy: null,
    write: (changes) => {
      memory.before = honest(memory, 0);
      for (const { key, value } of changes) {
        if (value === null) memory.held.delete(key);
        else memory.held.set(key, value);
      }
      memory.revision += 1;
      return Promise.resolve(String(memory.revision));
    },
    current: () => Promise.resolve(Object.fromEntries(memory.held)),
    close: () => Promise.resolve(),
  };
}

function campaign(look: Look, more: Partial<CampaignOptions> = {}) {
  const open = () => Promise.resolve(place(look));
  const few = { sequences: 30, concurrency: 30, proxyFaults: [], largeBytes: 1_000, settleMs: 500 };
  return runCampaign({ name: 'memory', open, shrinkMs: 5_000, ...few, ...more });
}

describe('the campaign', () => {
  it('is content with a provider that keeps its promises', async () => {
    const report = await campaign(honest);
    expect(report.sequences).toBe(30);
    expect(report.writes).toBeGreaterThan(60);
  });

  it('finds a change that is lost', async () => {
    const failure = campaign(({ held, revision }) => snapshot(new Map([...held].slice(0, 2)), revision));
    await expect(failure).rejects.toThrow(/campaign memory, CAMPAIGN_SEED=\d+, sequence \d+: /);
  });

  it('finds a transaction seen in half, and makes the sequence small', async () => {
    // The first look at each revision, so that a sequence that fails fails again, however busy the machine is.
    const lookedAt = new WeakMap<Memory, number>();
    const half: Look = (memory, looked) => {
      const isFirst = lookedAt.get(memory) !== memory.revision;
      lookedAt.set(memory, memory.revision);
      const [first] = memory.held;
      if (!isFirst || memory.held.size < 2 || first === undefined) return honest(memory, looked);
      return snapshot(new Map([first]), memory.revision);
    };
    await expect(campaign(half, { sequences: 60 })).rejects.toThrow(
      /The smallest that fails, after \d+ steps/,
    );
  });

  it('finds a state that comes back after a later one', async () => {
    const back: Look = (memory, looked) => (looked % 2 === 0 ? honest(memory, looked) : memory.before);
    await expect(campaign(back)).rejects.toThrow(/was seen after a later state/);
  });

  it('finds data under the revision of other data', async () => {
    const failure = campaign(({ held, revision }) => snapshot(held, revision + 1));
    await expect(failure).rejects.toThrow(/was seen at revision \d+, it has \d+/);
  });

  it('allows keys of different moments where no whole was promised, but no value that never was', async () => {
    const mixed: Look = ({ held, before, revision }, looked) => {
      const old =
        before.kind === 'snapshot' && before.snapshot.content.kind === 'tree'
          ? before.snapshot.content.entries
          : [];
      const values = new Map(old.map(({ key, value }) => [key, Buffer.from(value).toString()]));
      const pick = looked % 2 === 0;
      return snapshot(
        new Map([...held].map(([key, value]) => [key, pick ? value : (values.get(key) ?? value)])),
        revision,
      );
    };
    await campaign(mixed, { promise: 'per-key', settleMs: 5_000 });
    const invented: Look = ({ held, revision }, looked) =>
      snapshot(looked % 2 === 0 ? held : new Map([...held, ['a', 'invented']]), revision);
    await expect(campaign(invented, { promise: 'per-key' })).rejects.toThrow(/"a" never was "invented"/);
  });
});
