// Simple parts of a template that are rendered quickly: the result, and every error, is the library's own.
import fc from 'fast-check';
import { Context, type Emitter, Liquid, toValueSync } from 'liquidjs';
import { describe, expect, it } from 'vitest';
import { printable } from '../../../src/render/template/operands.ts';
import { renderSimplePartsQuickly } from '../../../src/render/template/quick-renderer.ts';

const OPTIONS = { strictVariables: true, ownPropertyOnly: true, outputEscape: printable, cache: true };
const DATA = {
  ...{ text: 'a text', empty: '', number: 7, flag: false, none: null, map: { a: { b: 'deep' }, 'x y': 'z' } },
  list: ['one', 'two', 'three'],
  pairs: [
    { key: 'k1', value: 'v1' },
    { key: 'k2', value: 2 },
  ],
};
const LONGEST = 200;

function engineOf(isQuick: boolean): Liquid {
  const engine = new Liquid(OPTIONS);
  if (isQuick) renderSimplePartsQuickly(engine);
  return engine;
}

/** What the engine writes, or why it does not. */
function resultOf(engine: Liquid, template: string): string {
  const emitter = {
    buffer: '',
    write(part: unknown) {
      emitter.buffer += String(part ?? '');
      if (emitter.buffer.length > LONGEST) throw new Error('too long');
    },
  };
  const context = new Context({ ...DATA }, engine.options, { sync: true }, { liquid: engine });
  try {
    const parsed = engine.parse(template, 'one');
    toValueSync(engine.renderer.renderTemplates(parsed, context, emitter as Emitter));
    return emitter.buffer;
  } catch (thrown) {
    return `${String(thrown)} after "${emitter.buffer}"`;
  }
}

const path = fc.constantFrom(
  ...[
    'text',
    'empty',
    'number',
    'flag',
    'none',
    'map',
    'map.a.b',
    'map["x y"]',
    'map.a.c',
    'list',
    'list[1]',
  ],
  ...[
    'list.first',
    'list.size',
    'text.size',
    'pairs[0].key',
    'pairs.last.value',
    'item',
    'item.key',
    'item.value',
  ],
  ...[
    'forloop.index',
    'forloop.first',
    'map[text]',
    '"quoted"',
    'missing',
    'constructor',
    'map.__proto__',
    'set',
  ],
);

const { template } = fc.letrec<{ template: string; part: string }>((tie) => ({
  template: fc.array(tie('part'), { maxLength: 5 }).map((parts) => parts.join('')),
  part: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom(
      'text',
      ' \n',
      '{% break %}',
      '{% continue %}',
      '{% increment n %}',
      '{% cycle "a", "b" %}',
    ),
    path.map((one) => `{{ ${one} }}`),
    path.map((one) => `{{- ${one} | default: "d" | upcase -}}`),
    path.map((one) => `{% assign set = ${one} %}`),
    fc.tuple(path, tie('template')).map(([of, body]) => `{% for item in ${of} %}${body}{% endfor %}`),
    fc.tuple(path, tie('template')).map(([of, body]) => `{% if ${of} %}${body}{% else %}no{% endif %}`),
    tie('template').map((body) => `{% capture set %}${body}{% endcapture %}`),
  ),
}));

describe('a template', () => {
  it('gives what the library gives, or fails as it does', () => {
    const [quick, plain] = [engineOf(true), engineOf(false)];
    const law = fc.property(template, (text) => {
      expect(resultOf(quick, text)).toBe(resultOf(plain, text));
    });
    fc.assert(law, { numRuns: 500 });
  });

  it.each([
    ['{% for item in list %}{{ item }}{% if item == "two" %}{% break %}{% endif %},{% endfor %}', 'one,two'],
    ['{% for item in pairs %}{% continue %}{{ item.key }}{% endfor %}', ''],
    ['{{ map.a.b }}{{ map["x y"] }}{{ list[1] }}{{ number }}', 'deepztwo7'],
    ['{% capture set %}{{ text }}{% endcapture %}[{{ set }}]', '[a text]'],
  ])('%s gives "%s"', (text, result) => expect(resultOf(engineOf(true), text)).toBe(result));

  it('is named with the line of a simple part that fails', () => {
    const failed = resultOf(engineOf(true), 'first\n{{ map.a.c }}');
    expect(failed).toMatch(/undefined variable: map\.a\.c, line:2, col:4 after "first\n"/);
    const long = resultOf(engineOf(true), `\n{{ text }}${'{{ text }}'.repeat(LONGEST)}`);
    expect(long).toMatch(/too long, file:one, line:2/);
  });

  it('of simple parts alone lets others have a turn now and then', () => {
    const engine = engineOf(true);
    const emitter = { buffer: '', write: () => undefined };
    const context = new Context({ ...DATA }, engine.options, { sync: true }, { liquid: engine });
    const parts = engine.parse('{{ text }}'.repeat(10_000));
    const work = engine.renderer.renderTemplates(parts, context, emitter as Emitter);
    let steps = 0;
    for (const _ of work) steps += 1;
    expect(steps).toBeGreaterThan(100);
  });
});
