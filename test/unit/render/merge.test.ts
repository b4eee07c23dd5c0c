// The laws of merging, generated: the later source wins, grouping plays no part, and every key knows where it came from.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import { atOnce } from '../../../src/lib/slices.ts';
import { createMap, isMap, leavesOf, type Value, type ValueMap } from '../../../src/render/document/value.ts';
import { type MergeLayer, mergingLayers, originsOf } from '../../../src/render/merge.ts';

const KEYS = ['a', 'b', 'c', '__proto__', 'constructor'];

/** Few keys, so that sources meet often. `free`: lists and values may stand where others have maps. */
const { free, agreed } = fc.letrec<{ free: Value; agreed: Value; leaf: Value }>((tie) => ({
  leaf: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constantFrom('x', null, true), fc.constant([1, 2])),
  free: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    tie('leaf'),
    fc.array(fc.tuple(fc.constantFrom(...KEYS), tie('free')), { maxLength: 4 }).map(mapOf),
  ),
  // A value at a key that is a capital letter, a map at the others: no two sources can contradict each other.
  agreed: fc
    .array(
      fc.oneof(
        fc.tuple(fc.constantFrom('A', 'B'), tie('leaf')),
        fc.tuple(
          fc.constantFrom(...KEYS),
          fc.oneof({ maxDepth: 3 }, fc.constant(createMap()), tie('agreed')),
        ),
      ),
      { maxLength: 4 },
    )
    .map(mapOf),
}));

function mapOf(pairs: readonly (readonly [string, Value])[]): Value {
  const map = createMap();
  for (const [key, value] of pairs) map[key] = value;
  return map;
}

const maps = (values: fc.Arbitrary<Value>): fc.Arbitrary<ValueMap> =>
  values.filter(isMap) as fc.Arbitrary<ValueMap>;
const layersOf = (values: readonly Value[]): MergeLayer[] =>
  values.map((value, at) => ({ source: `s${at}`, value }));

/** The merged value, or `refused`. */
function outcome(values: readonly Value[]): Value {
  try {
    return atOnce(mergingLayers(layersOf(values)));
  } catch (thrown) {
    if (thrown instanceof SidecarError && thrown.code === 'render.conflict') return 'refused';
    throw thrown;
  }
}

const text = (value: Value): string =>
  JSON.stringify(value, (_key, item) => (isMap(item) ? sorted(item) : item));

/** The order of keys is not compared; a key that JavaScript knows is one like any other. */
function sorted(map: ValueMap): readonly unknown[] {
  return Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A value by its path, without looking into lists. */
function at(value: Value, path: readonly string[]): Value | undefined {
  return path.reduce<Value | undefined>((here, name) => (isMap(here) ? here[name] : undefined), value);
}

describe('merging', () => {
  it('gives the same however sources are grouped, and refuses the same', () => {
    const law = fc.property(maps(free), maps(free), maps(free), (a, b, c) => {
      const [left, right] = [outcome([a, b]), outcome([b, c])];
      const whole = text(outcome([a, b, c]));
      expect(text(left === 'refused' ? left : outcome([left, c]))).toBe(whole);
      expect(text(right === 'refused' ? right : outcome([a, right]))).toBe(whole);
    });
    fc.assert(law, { numRuns: 2_000 });
  });

  it('never refuses sources that agree on what is a map, and holds for each path what the last of them has', () => {
    const law = fc.property(fc.array(maps(agreed), { minLength: 1, maxLength: 4 }), (values) => {
      const merged = outcome(values);
      expect(merged).not.toBe('refused');
      const paths = [merged, ...values].flatMap((one) => leavesOf(one, { lists: false }));
      for (const { path } of paths) {
        const last = values.map((one) => at(one, path)).findLast((found) => found !== undefined);
        expect(text(at(merged, path) ?? null)).toBe(text(last ?? null));
      }
    });
    fc.assert(law, { numRuns: 1_000 });
  });

  it('changes nothing by a source that is empty or comes twice', () => {
    const law = fc.property(maps(free), maps(free), (a, b) => {
      const merged = text(outcome([a, b]));
      expect(text(outcome([a, createMap(), b]))).toBe(merged);
      expect(text(outcome([a, b, b]))).toBe(merged);
    });
    fc.assert(law);
  });

  it('knows the source of every value: the last that has it', () => {
    const law = fc.property(fc.array(maps(agreed), { minLength: 1, maxLength: 4 }), (values) => {
      const layers = layersOf(values);
      for (const { path, value } of leavesOf(atOnce(mergingLayers(layers)), { lists: true })) {
        const [origin, ...others] = originsOf(layers, path);
        expect(others).toEqual([]);
        const { value: own } = layers.find(({ source }) => source === origin) ?? { value: null };
        const list = path.findIndex((_name, end) => Array.isArray(at(own, path.slice(0, end))));
        if (list === -1) expect(at(own, path)).toEqual(value);
      }
    });
    fc.assert(law);
  });

  it('changes none of what it is given', () => {
    const frozen = (key: string, value: Value): Value => Object.freeze(mapOf([[key, value]])) as Value;
    const [a, b] = [frozen('x', frozen('y', 1)), frozen('x', frozen('z', 2))];
    const both = mapOf([
      ['y', 1],
      ['z', 2],
    ]);
    expect(text(outcome([a, b]))).toBe(text(mapOf([['x', both]])));
  });

  it('names the path and both sources of a conflict', () => {
    const layers: readonly MergeLayer[] = [
      { source: 'etcd://h:2379/app/', value: mapOf([['db', mapOf([['host', mapOf([['name', 'a']])]])]]) },
      { source: '/base.yaml', value: mapOf([['log', 'x']]) },
      { source: 'consul://h:8500/app/', value: mapOf([['db', mapOf([['host', 'b']])]]) },
    ];
    const refusal = (of: readonly MergeLayer[]): string => {
      try {
        return String(atOnce(mergingLayers(of)));
      } catch (thrown) {
        return `${(thrown as SidecarError).code}: ${(thrown as SidecarError).message}`;
      }
    };
    const advice = 'rename one of the two keys, or give one source a NAME';
    expect(refusal(layers)).toBe(
      `render.conflict: Cannot merge the sources at "db/host": it is a map in "etcd://h:2379/app/" and a value in "consul://h:8500/app/"; ${advice}`,
    );
    expect(refusal([...layers].reverse())).toBe(refusal(layers));
    expect(refusal([...layers.slice(0, 1), { source: 'https://h/list', value: [1] }])).toBe(
      'render.conflict: Cannot merge "https://h/list" with other sources: its data is not a map; give it a NAME (NAME=URL), which becomes its key',
    );
  });
});
