// JSON, YAML and TOML: what we write is read back equal by readers that are not ours.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { serialiseDocument } from '../../../../src/render/document/document.ts';
import { parseJson, serialiseJson } from '../../../../src/render/document/json.ts';
import { inlineToml, parseToml, serialiseToml } from '../../../../src/render/document/toml.ts';
import { createMap, type Value } from '../../../../src/render/document/value.ts';
import { blockYaml, inlineYaml, parseYaml, serialiseYaml } from '../../../../src/render/document/yaml.ts';
import { readWithPython, seen } from '../../../support/fixtures/readers.ts';
import { map, scalar } from '../../../support/render/document/generate.ts';

const RUNS = 400;

/** Compares in one go, so that Python starts once; a difference shows the text it came from. */
async function expectReadBack(
  reader: 'yaml' | 'toml',
  values: readonly Value[],
  write: (value: Value) => string,
): Promise<void> {
  const texts = values.map(write);
  const read = await readWithPython(reader, texts);
  for (const [index, value] of values.entries()) {
    expect({ text: texts[index], seen: read[index] }).toEqual({ text: texts[index], seen: seen(value) });
  }
}

describe('JSON', () => {
  it('is read back equal by ourselves, bigints included, and by the language where it can', () => {
    fc.assert(
      fc.property(map({ withNull: true }), fc.integer({ min: 0, max: 4 }), (value, indent) => {
        const text = serialiseJson(value, indent);
        expect(seen(parseJson(text))).toEqual(seen(value));
        expect(() => JSON.parse(text)).not.toThrow();
      }),
      { numRuns: RUNS },
    );
  });

  it('agrees with the language on what is JSON and what it says', () => {
    const jsonish = fc.oneof(
      fc.json(),
      fc.json().chain((text) => fc.nat(text.length).map((cut) => text.slice(0, cut))),
      fc
        .array(
          fc.constantFrom(
            '{',
            '}',
            '[',
            ']',
            ',',
            ':',
            '"a"',
            '"\\n"',
            '1',
            '-',
            '.5',
            '1e5',
            'true',
            'nul',
            ' ',
            '\n',
            '01',
          ),
          { maxLength: 8 },
        )
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(jsonish, (text) => {
        let expected: { value: unknown } | null;
        try {
          expected = { value: JSON.parse(text) };
        } catch {
          expected = null;
        }
        if (expected === null) {
          expect(() => parseJson(text)).toThrow();
          return;
        }
        let value: Value;
        try {
          value = parseJson(text);
        } catch (refused) {
          expect((refused as Error).message).toMatch(/second time|surrogate|too large|deeper/);
          return;
        }
        // Bigints are ours alone, and rounded the way the language rounds they are the same.
        expect(JSON.parse(serialiseJson(value))).toEqual(JSON.parse(JSON.stringify(expected.value)));
      }),
      { numRuns: 1000 },
    );
  });

  it('is indented by two blanks, keeps the order and ends in a line break', async () => {
    const bytes = await serialiseDocument(parseJson('{"b":[1,{"c":null}],"a":{},"e":[]}'), 'json');
    expect(Buffer.from(bytes).toString()).toBe(
      '{\n  "b": [\n    1,\n    {\n      "c": null\n    }\n  ],\n  "a": {},\n  "e": []\n}\n',
    );
  });
});

describe('YAML', () => {
  it('is read back equal by PyYAML, a reader of YAML 1.1', async () => {
    await expectReadBack('yaml', fc.sample(map({ withNull: true }), RUNS), serialiseYaml);
  });

  it('is read back equal by ourselves', () => {
    fc.assert(
      fc.property(map({ withNull: true }), (value) => {
        expect(seen(parseYaml(serialiseYaml(value)))).toEqual(seen(value));
      }),
      { numRuns: RUNS },
    );
  });

  it.each(['---', '--- lead', '---\ta', '... a', '...'])(
    'does not take the text %j for the end of a document',
    async (text) => {
      const values: readonly Value[] = [Object.assign(createMap(), { [text]: text }), [text], text];
      for (const value of values) expect(parseYaml(serialiseYaml(value))).toEqual(value);
      await expectReadBack('yaml', values, serialiseYaml);
      await expectReadBack('yaml', values, (value) => blockYaml(value, 0));
    },
  );

  it('of a filter is one line that holds the value wherever it is put', async () => {
    const values = fc.sample(fc.oneof(map({ withNull: true }), scalar({ withNull: true })), RUNS);
    for (const value of values) expect(inlineYaml(value)).not.toMatch(/[\r\n]/);
    const texts = values.map(
      (value) => `a:\n    b:\n      - ${inlineYaml(value)}\n    c: {d: ${inlineYaml(value)}}\n`,
    );
    const read = await readWithPython('yaml', texts);
    for (const [index, value] of values.entries()) {
      const is = seen(value);
      const whole = {
        map: [
          [
            'a',
            {
              map: [
                ['b', [is]],
                ['c', { map: [['d', is]] }],
              ],
            },
          ],
        ],
      };
      expect({ text: texts[index], seen: read[index] }).toEqual({ text: texts[index], seen: whole });
    }
  });

  it('of a filter over several lines fits under the indentation it was given', async () => {
    const values = fc.sample(map({ withNull: true }), RUNS);
    const texts = values.map((value) => `a:\n  b:\n    ${blockYaml(value, 4)}\n  c: 1\n`);
    const read = await readWithPython('yaml', texts);
    for (const [index, value] of values.entries()) {
      const whole = {
        map: [
          [
            'a',
            {
              map: [
                ['b', seen(value)],
                ['c', { number: '1' }],
              ],
            },
          ],
        ],
      };
      expect({ text: texts[index], seen: read[index] }).toEqual({ text: texts[index], seen: whole });
    }
  });
});

describe('TOML', () => {
  it('is read back equal by tomllib', async () => {
    await expectReadBack('toml', fc.sample(map({ withNull: false }), RUNS), serialiseToml);
  });

  it('is read back equal by ourselves', () => {
    fc.assert(
      fc.property(map({ withNull: false }), (value) => {
        expect(seen(parseToml(serialiseToml(value)))).toEqual(seen(value));
      }),
      { numRuns: RUNS },
    );
  });

  it('keeps dates as they were written', () => {
    const text =
      'a = 1979-05-27T07:32:00-08:00\nb = 1979-05-27\nc = 07:32:00.000\nd = 1979-05-27T07:32:00.000\n';
    expect(seen(parseToml(serialiseToml(parseToml(text))))).toEqual(seen(parseToml(text)));
  });

  it('of a filter is one line that holds the value', async () => {
    const values = fc.sample(fc.oneof(map({ withNull: false }), scalar({ withNull: false })), RUNS);
    for (const value of values) expect(inlineToml(value)).not.toMatch(/[\r\n]/);
    const texts = values.map((value) => `a = [${inlineToml(value)}]\nb = 1\n`);
    const read = await readWithPython('toml', texts);
    for (const [index, value] of values.entries()) {
      const whole = {
        map: [
          ['a', [seen(value)]],
          ['b', { number: '1' }],
        ],
      };
      expect({ text: texts[index], seen: read[index] }).toEqual({ text: texts[index], seen: whole });
    }
  });
});
