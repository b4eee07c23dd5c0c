// What the reader of listings makes of an answer: always what parsing the whole would give, however little of it is parsed.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createListingReader, type ListingReader } from '../../../../src/source/consul/listing.ts';

const WHOLE_NAMES = { prefixLength: 0, maxBytes: 16 * 1024 * 1024 };
const NEVER = new AbortController().signal;

interface Key {
  readonly Key: string;
  readonly Value: string | null;
  readonly ModifyIndex: number;
}

function keyOf(Key: string, value: string, ModifyIndex = 1): Key {
  return { Key, Value: value === '' ? null : Buffer.from(value).toString('base64'), ModifyIndex };
}

/** As an agent writes it; with `-dev` it writes it for people. */
function bodyOf(keys: readonly object[], indent?: number): Buffer {
  return Buffer.from(`${JSON.stringify(keys, null, indent)}${indent === undefined ? '' : '\n'}`);
}

async function read(reader: ListingReader, body: Buffer): Promise<Key[]> {
  const items = await reader(body, NEVER);
  return items.map(({ key, entry, modifyIndex }) =>
    keyOf(key, Buffer.from(entry.value).toString(), modifyIndex),
  );
}

const many = (value: (at: number) => string): Key[] =>
  Array.from({ length: 2_000 }, (_, at) => keyOf(`app/k${String(at).padStart(5, '0')}`, value(at), at));

describe('a reader of listings', () => {
  it('stops at the number of keys that MAX_SIZE allows, before it has parsed them all', async () => {
    const reader = createListingReader({ prefixLength: 0, maxBytes: 128_000 });
    const body = bodyOf(many(() => 'v'));
    const error = await reader(body, NEVER).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'source.too-large' });
    const [, count] =
      /^it holds at least (\d+) keys, MAX_SIZE "128000" allows 1000 /.exec(String(Object(error).text)) ?? [];
    expect(Number(count)).toBeLessThan(1_300);
  });

  it('reads whatever came before exactly what the answer says', async () => {
    // Names that look like the end of an item, and values long enough to fill slices.
    const name = fc.constantFrom('a', 'b}', 'c},{', '"},{"Key', '},{"LockIndex":0', 'ü', 'd\\"},{"x');
    const value = fc.tuple(fc.constantFrom('x', 'y', '},{"Z'), fc.constantFrom(0, 1, 3_000, 20_000));
    const key = fc.tuple(name, value).map(([at, [text, times]]) => keyOf(at, text.repeat(times)));
    const list = fc.array(key, { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(list, { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        async (lists, pretty) => {
          const reader = createListingReader(WHOLE_NAMES);
          for (const keys of lists)
            expect(await read(reader, bodyOf(keys, pretty ? 4 : undefined))).toEqual(keys);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('sees a change, an insertion and a removal anywhere in a long listing', async () => {
    const before = many(() => 'v'.repeat(40));
    for (const indent of [undefined, 4]) {
      const reader = createListingReader(WHOLE_NAMES);
      await reader(bodyOf(before, indent), NEVER);
      for (const at of [0, 1, 63, 64, 999, 1_000, 1_998, 1_999]) {
        const changed = before.with(at, keyOf(before[at]?.Key ?? '', 'w'.repeat(at % 7), 9_999));
        expect(await read(reader, bodyOf(changed, indent))).toEqual(changed);
        const removed = before.toSpliced(at, 1);
        expect(await read(reader, bodyOf(removed, indent))).toEqual(removed);
        const inserted = before.toSpliced(at, 0, keyOf('new', 'x'));
        expect(await read(reader, bodyOf(inserted, indent))).toEqual(inserted);
      }
      expect(await read(reader, bodyOf(before, indent))).toEqual(before);
      expect(await read(reader, bodyOf([], indent))).toEqual([]);
    }
  });

  it('keeps the entries of what has not changed, but for a few neighbours', async () => {
    for (const indent of [undefined, 4]) {
      const keys = many(() => 'v'.repeat(40));
      const reader = createListingReader(WHOLE_NAMES);
      const first = await reader(bodyOf(keys, indent), NEVER);
      const changed = keys.with(1_000, keyOf('app/k01000', 'w'.repeat(40), 9_999));
      const second = await reader(bodyOf(changed, indent), NEVER);
      const kept = second.filter(({ entry }, at) => entry === first[at]?.entry);
      expect(kept.length).toBeGreaterThan(1_500);
    }
  });

  it('lets others have their turn while it reads a long listing', async () => {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 0);
    await createListingReader(WHOLE_NAMES)(bodyOf(many(() => 'v'.repeat(2_000))), NEVER);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });

  it('stops at an abort', async () => {
    const controller = new AbortController();
    const reading = createListingReader(WHOLE_NAMES)(bodyOf(many(() => 'v'.repeat(200))), controller.signal);
    controller.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
  });

  it.each([
    ['half an item', '[{"Key":', 'the answer is not the JSON it says it is'],
    [
      'a comma too many',
      '[{"Key":"a","Value":null,"ModifyIndex":1},]',
      'the answer is not the JSON it says it is',
    ],
    ['nothing at all', '', 'the answer is not the JSON it says it is'],
    ['no list', '{"Key":"a"}', 'answered 200 with something other than keys'],
    ['a list of numbers', '[1]', 'the answer has an entry that is not a key'],
    [
      'no base64',
      '[{"Key":"a","Value":"%%%%","ModifyIndex":1}]',
      'the answer has an entry that is not a key',
    ],
    [
      'cut base64',
      '[{"Key":"a","Value":"dmFs1","ModifyIndex":1}]',
      'the answer has an entry that is not a key',
    ],
    ['no index', '[{"Key":"a","Value":"dmFs"}]', 'the answer has an entry that is not a key'],
  ])('refuses %s', async (_name, text, reason) => {
    await expect(createListingReader(WHOLE_NAMES)(Buffer.from(text), NEVER)).rejects.toThrow(reason);
  });

  it('refuses a long listing that ends in a comma or breaks off, also when it knows all that came before', async () => {
    const keys = many(() => 'v');
    const whole = bodyOf(keys).toString();
    const reader = createListingReader(WHOLE_NAMES);
    await reader(Buffer.from(whole), NEVER);
    for (const text of [
      `${whole.slice(0, -1)},]`,
      `[,${whole.slice(1)}`,
      whole.slice(0, -2),
      whole.replace('},{', '},,{'),
    ]) {
      await expect(reader(Buffer.from(text), NEVER)).rejects.toThrow(
        'the answer is not the JSON it says it is',
      );
    }
    expect(await read(reader, Buffer.from(whole))).toEqual(keys);
  });

  it('sees what stands between two slices that it knows, also where its blocks end there', async () => {
    // Every item and its comma take as many bytes as the blocks that are compared, so that slices end with blocks.
    const text = (at: number, bytes: number): string => {
      const name = `{"Value":null,"ModifyIndex":1,"Key":"${at}`;
      return `${name.padEnd(bytes - 3, '.')}"}`;
    };
    for (const first of [4_096, 4_097]) {
      const items = Array.from({ length: 40 }, (_, at) => text(at, at === 0 ? first : 4_096));
      const list = items.join(',');
      const reader = createListingReader(WHOLE_NAMES);
      expect(await reader(Buffer.from(`[${list}]`), NEVER)).toHaveLength(40);
      for (let comma = first - 1; comma < list.length; comma += 4_096) {
        const cut = `[${list.slice(0, comma + 1)}]`;
        await expect(reader(Buffer.from(cut), NEVER)).rejects.toThrow('not the JSON');
        const without = `[${list.slice(0, comma)} ${list.slice(comma + 1)}]`;
        await expect(reader(Buffer.from(without), NEVER)).rejects.toThrow('not the JSON');
      }
    }
  });
});
