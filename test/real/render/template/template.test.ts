// Templates: strict, the same at every rendering, no way out of their own files, and values that stay data.
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { Liquid } from 'liquidjs';
import { describe, expect, it } from 'vitest';
import { SidecarError } from '../../../../src/lib/errors.ts';
import { parseJson } from '../../../../src/render/document/json.ts';
import { createMap } from '../../../../src/render/document/value.ts';
import { createFilters, UNSTEADY_FILTERS } from '../../../../src/render/template/filters.ts';
import { strictFilters } from '../../../../src/render/template/liquid-filters.ts';
import { openTemplates } from '../../../../src/render/template/template.ts';
import { text as anyText } from '../../../support/render/document/generate.ts';

const DATA = `{
  "db": {"host": "db1", "port": 5432, "none": null, "on": true, "quoted": "it's \\"here\\""},
  "list": ["b", "a", "B"], "lines": "one\\ntwo: 2", "big": 9007199254740993,
  "pool": {"size": 7, "first": 1}, "off": false, "empty": "", "items": [{"n": 2}, {"n": 1}], "text": {"port": "8080", "rate": "0.5"},
  "mixed": [{"on": true}, {"x": 1}, "text", {"on": false}],
  "code": "{{ db.host }}{% include 'x' %}", "when": "now", "name": "secret.liquid", "a-b": {"c d": 1}
}`;

const PARTIALS = {
  'part.liquid': 'part of {{ db.host }}',
  'broken.liquid': 'x\n\n  {{ missing.too }}',
  'sub/one.liquid': '{% render "./two" %}',
  'sub/two.liquid': 'two',
  'up.liquid': '{% include "sub/../part.liquid" %}',
  'self.liquid': '{% include "self" %}',
  'layout.liquid': '<{% block body %}base{% endblock %}>',
};

function scopeOf(json: string): Record<string, unknown> {
  return Object.assign(createMap() as Record<string, unknown>, parseJson(json));
}

async function render(template: string, scope = scopeOf(DATA), maxBytes = 100_000): Promise<string> {
  const files = new Map<string, string | null>(Object.entries({ ...PARTIALS, main: template }));
  files.set('bytes.liquid', null);
  try {
    return await (await openTemplates(files, { maxBytes }))('main', scope);
  } catch (thrown) {
    if (thrown instanceof SidecarError) return `${thrown.stage} ${thrown.code}: ${thrown.message}`;
    throw thrown;
  }
}

describe('a template', () => {
  it.each([
    ['{{ db.host }}:{{ db.port }} {{ db["host"] }} {{ a-b["c d"] }}', 'db1:5432 db1 1'],
    ['{{ nope | default: "x" }}{{ db.nope | default: 5 }}{{ nope.at.all | default: "" }}', 'x5'],
    ['{% if nope %}a{% elsif db.nope %}b{% else %}c{% endif %}{% unless nope %}d{% endunless %}', 'cd'],
    [
      '{% for one in list %}{{ forloop.index }}{{ one }}{% unless forloop.last %},{% endunless %}{% endfor %}',
      '1b,2a,3B',
    ],
    ['{% for pair in db limit: 1 %}{{ pair[0] }}={{ pair[1] }}{% endfor %}', 'host=db1'],
    ['{% assign x = nope.at.all | default: "y" | upcase %}{{ x }}', 'Y'],
    ['{% assign x = "y" %}{% capture z %}{{ x }}{{ x }}{% endcapture %}{{ z }}', 'yy'],
    [
      '{% tablerow i in (1..2) cols: 1 %}{{ i }}{% endtablerow %}',
      '<tr class="row1"><td class="col1">1</td></tr><tr class="row2"><td class="col1">2</td></tr>',
    ],
    ['{{ list | sort | join: "" }} {{ list.size }} {{ db | size }}', 'Bab 3 5'],
    ['{{ off | default: "x" }} [{{ empty | default: "x" }}] {{ db.none | default: "x" }}', 'false [] x'],
    ['{{ pool.size }} {{ pool.first }} {{ db.host.size }} {{ list.first }}{{ list.last }}', '7 1 3 bB'],
    ['{% if db.size %}a{% else %}b{% endif %}{{ db.first | default: "c" }}', 'bc'],
    ['{% for x in list %}{{ forloop.first }} {% endfor %}', 'true false false '],
    [
      '{{ items | map: "n" | join: "," }} {{ items | sum: "n" }} {{ items | sort: "n" | map: "n" | first }}',
      '2,1 3 1',
    ],
    [
      '{{ mixed | where: "on" | size }} {{ mixed | where: "on", false | size }} {{ mixed | reject: "on" | size }}',
      '1 1 3',
    ],
    [
      '{{ mixed | find: "on", true | json }} {{ mixed | has: "on" }} {{ mixed | has: "off" }} {{ mixed | find_index: "on" }}',
      '{"on":true} true false 0',
    ],
    [
      '{% assign g = mixed | group_by: "on" %}{% for one in g %}{{ one.name | json }}={{ one.items.size }} {% endfor %}',
      'true=1 null=2 false=1 ',
    ],
    [
      '{{ mixed | where_exp: "one", "one.on == true" | size }} {{ mixed | find_exp: "one", "one.no" | json }}',
      '1 null',
    ],
    [
      '{{ text.port | plus: 1 }} {{ text.port | times: text.rate }} {{ "9" | at_least: 10 }} {{ 7 | divided_by: 2 }}',
      '8081 4040 10 3.5',
    ],
    ['{{ list | uniq | size }} {{ "a,b,a" | split: "," | uniq | join: "" }}', '3 ab'],
    [
      '{{ "abcdef" | slice: 1, 2 }} {{ list | slice: -1 | first }} {{ "abc" | first }} {{ 12345 | slice: 0, 2 }}',
      'bc B a 12',
    ],
    [
      '{{ "c B a" | split: " " | sort_natural | join: " " }} {{ list | array_to_sentence_string }}',
      'a B c b, a, and B',
    ],
    ['{{ big }} {{ big | json }}', '9007199254740993 9007199254740993'],
    ['{{ "2020-02-03" | date: "%Y/%m/%d" }}', '2020/02/03'],
    ['{% include "part" %}, {% render "sub/one" %}, {% include "up" %}', 'part of db1, two, part of db1'],
    ['{% layout "layout" %}{% block body %}mine and {{ block.super }}{% endblock %}', '<mine and base>'],
    ['{% raw %}{{ x }}{% endraw %}{% comment %}{{ x }}{% endcomment %}', '{{ x }}'],
  ])('%s makes %s', async (template, output) => {
    expect(await render(template)).toBe(output);
  });

  it('never evaluates a value', async () => {
    expect(await render('{{ code }}')).toBe(`{{ db.host }}{% include 'x' %}`);
    expect(await render('{{ code | append: "" | upcase }}')).toBe(`{{ DB.HOST }}{% INCLUDE 'X' %}`);
  });

  it('leaves its scope as it was', async () => {
    const scope = scopeOf('{"n": 1, "list": [2, 1]}');
    expect(await render('{% increment n %}{% assign list = list | sort %}{{ list | join: "" }}', scope)).toBe(
      '112',
    );
    expect(scope).toEqual({ n: 1, list: [2, 1] });
  });

  it('finds names of JavaScript only when the data has them', async () => {
    expect(await render('{{ constructor }}', scopeOf('{"constructor": "mine"}'))).toBe('mine');
    expect(await render('{{ toString }}')).toContain('the variable "toString" is missing');
    expect(await render('{{ db.constructor.name }}')).toContain('the variable "db.constructor" is missing');
  });
});

describe('a template is refused, by file and line,', () => {
  it.each([
    ['a\n\n{{ nope }}', 'line 3: the variable "nope" is missing; add the key, or give it a default'],
    [
      '{% if true %}\n{{ db.nope }}{% endif %}',
      'line 2: the variable "db.nope" is missing; add the key, or give it a default',
    ],
    [
      '{% for x in nope %}{% endfor %}',
      'line 1: the variable "nope" is missing; add the key, or give it a default',
    ],
    [
      '{% liquid\n assign x = 1\n echo nope\n%}',
      'line 3: the variable "nope" is missing; add the key, or give it a default',
    ],
    [
      '{{ nope }}\n{% for x in list %}{{ db.none1 }}{% endfor %}{{ other.x | upcase }}{{ nope }}\n{{ db.host }}{{ other.y }}',
      'line 1: the variable "nope" is missing; add the key, or give it a default; also missing: "db.none1" (line 2), "other" (line 2)',
    ],
    [
      '{% assign mine = nope | sort %}{% for x in mine %}{{ x }}{% endfor %}{{ maybe | default: "" }}{% if asked %}{% endif %}',
      'line 1: the variable "nope" is missing; add the key, or give it a default',
    ],
    [
      '{% assign mine = db.nope | sort %}{% for x in mine %}{{ x }}{% endfor %}',
      'line 1: the variable "db.nope" is missing; add the key, or give it a default',
    ],
    [
      '\n{% assign mine = nope %}{% if mine %}{% endif %}',
      'line 2: the variable "nope" is missing; add the key, or give it a default',
    ],
    ['{{ list[3] }}', 'line 1: the variable "list.3" is missing; add the key, or give it a default'],
    ['\n{{ db.none }}', 'line 2: there is no value to print; give it a default'],
    [
      '\n{{ db }}',
      'line 2: a map has no text of its own; print one of its values, or use a filter (json, yaml)',
    ],
    ['{{ list }}', 'line 1: a list cannot be printed; use a filter (join, json, yaml)'],
    ['{{ list | raw }}', 'line 1: a list cannot be printed; use a filter (join, json, yaml)'],
    [
      '{% echo db %}',
      'line 1: a map has no text of its own; print one of its values, or use a filter (json, yaml)',
    ],
    ['{% cycle list, "x" %}', 'line 1: a list cannot be printed; use a filter (join, json, yaml)'],
    [
      '{{ db | append: "x" }}',
      'line 1: a map has no text of its own; print one of its values, or use a filter (json, yaml)',
    ],
    ['{{ 1 | divided_by: 0 }}', 'line 1: the number is not finite'],
    ['{{ big | plus: 1 }}', 'line 1: the number is too large to calculate with'],
    ['{{ db.size }}', 'line 1: the variable "db.size" is missing; add the key, or give it a default'],
    ['{{ db.first.x }}', 'line 1: the variable "db.first" is missing; add the key, or give it a default'],
    ['{{ mixed | map: "on" | json }}', 'line 1: item 2 of the list has no "on"'],
    ['{{ mixed | sort: "on" | json }}', 'line 1: item 2 of the list has no "on"'],
    ['{{ mixed | sum: "on" }}', 'line 1: item 2 of the list has no "on"'],
    ['{{ list | map: "x" | json }}', 'line 1: item 1 of the list has no "x"'],
    ['{{ items | sort | json }}', 'line 1: only texts or numbers can be sorted, and this is a map'],
    [
      '{{ "a" | concat: items | sort | json }}',
      'line 1: only texts or numbers can be sorted, and this is a map',
    ],
    [
      '{{ list | push: 1 | sort | json }}',
      'line 1: texts and numbers cannot be compared; sort by one or the other',
    ],
    ['{{ list | sum }}', 'line 1: a number is needed, and this text is not one'],
    ['{{ "abc" | plus: 1 }}', 'line 1: a number is needed, and this text is not one'],
    ['{{ 1 | plus: "1x" }}', 'line 1: a number is needed, and this text is not one'],
    ['{{ "" | abs }}', 'line 1: a number is needed, and this text is not one'],
    ['{{ off | plus: 1 }}', 'line 1: a number is needed, and this is "false"'],
    ['{{ db.none | minus: 1 }}', 'line 1: a number is needed, and this is no value'],
    ['{{ db | times: 2 }}', 'line 1: a number is needed, and this is a map'],
    ['{{ 9007199254740991 | plus: 1 }}', 'line 1: the number is too large to be exact'],
    ['{{ 1 | modulo: 0 }}', 'line 1: the number is not finite'],
    ['{{ db.none | upcase }}', 'line 1: there is no value to print; give it a default'],
    ['{{ list | upcase }}', 'line 1: a list cannot be printed; use a filter (join, json, yaml)'],
    ['{{ "a" | append: list }}', 'line 1: a list cannot be printed; use a filter (join, json, yaml)'],
    [
      '{{ items | join }}',
      'line 1: a map has no text of its own; print one of its values, or use a filter (json, yaml)',
    ],
    ['{{ db | first }}', 'line 1: a list or a text is needed, and this is a map'],
    ['{{ mixed | find: "nope" }}', 'line 1: there is no value to print; give it a default'],
    ['{{ "soon" | date: "%s" }}', 'line 1: it is not a date'],
    ['{{ list | date: "%s" }}', 'line 1: a number is needed, and this is a list'],
    ['{{ "abc" | slice: "x" }}', 'line 1: a number is needed, and this text is not one'],
    ['{{ "abc" | slice: 0.5 }}', 'line 1: a whole number is needed'],
    ['{{ "now" | date: "%s" }}', 'line 1: the date "now" is different at every rendering'],
    ['{{ when | date_to_xmlschema }}', 'line 1: the date "now" is different at every rendering'],
    ['{{ "today" | date_to_string }}', 'line 1: the date "today" is different at every rendering'],
    ['{{ list | sample }}', 'line 1: the filter "sample" gives a different result at every rendering'],
    ['{{ db.host | nope }}', 'line 1: undefined filter: nope'],
    ['{% nope %}', 'line 1: tag "nope" not found'],
    ['\n{{ db.host', 'line 2: output "{{ db.host" not closed'],
    ['{% if db %}', 'line 1: tag {% if db %} not closed'],
    ['{% include "nope" %}', 'line 1: there is no template "nope" beside it'],
    ['{% include "../main" %}', 'line 1: there is no template "../main" beside it'],
    ['{% include "/etc/passwd" %}', 'line 1: there is no template "/etc/passwd" beside it'],
    ['{% include name %}', 'line 1: there is no template "secret.liquid" beside it'],
    ['{% include "bytes" %}', 'line 1: the template "bytes.liquid" is not UTF-8 text'],
    ['{{ "😀" | split: "" | first }}', 'it makes half of a surrogate pair'],
  ])('%j', async (template, reason) => {
    expect(await render(template)).toBe(`render render.template: Cannot render template "main": ${reason}`);
  });

  it('which are those of the partial where it happens', async () => {
    expect(await render('\n{% include "broken" %}')).toBe(
      'render render.template: Cannot render template "broken.liquid": line 3: the variable "missing" is missing; add the key, or give it a default',
    );
    expect(await render('{% include "self" %}')).toBe(
      'render render.template: Cannot render template "self.liquid": line 1: templates include each other without end',
    );
  });

  it('when it does not exist or is not UTF-8', async () => {
    const renderTemplate = await openTemplates(new Map([['a', null]]), { maxBytes: 1 });
    await expect(renderTemplate('a', {})).rejects.toThrow('Cannot render template "a": it is not UTF-8 text');
    await expect(renderTemplate('b', {})).rejects.toThrow('Cannot render template "b": it does not exist');
  });

  it('when it makes too much, or takes too long', async () => {
    expect(await render('{% for i in (1..1000) %}0123456789{% endfor %}', undefined, 500)).toBe(
      'render render.too-large: Cannot render template "main": line 1: it makes more than 500 characters; raise MAX_SIZE',
    );
    expect(
      await render(
        '{% for i in (1..9000) %}{% for j in (1..9000) %}{% assign x = j %}{% endfor %}{% endfor %}',
      ),
    ).toBe(
      'render render.template: Cannot render template "main": line 1: it takes too long; make it simpler, or give it less data',
    );
    expect(await render('{% for i in (1..1000000000) %}{% endfor %}')).toBe(
      'render render.template: Cannot render template "main": line 1: it takes too much memory; make it simpler, or give it less data',
    );
  });
});

describe('the filter', () => {
  it.each([
    ['{{ list | json }} {{ db.none | json }}', '["b","a","B"] null'],
    ['{{ a-b | json: 2 }}', '{\n  "c d": 1\n}'],
    ['{{ a-b | jsonify }}{{ a-b | inspect }}', '{"c d":1}{"c d":1}'],
    ['x: {{ lines | yaml }}', 'x: "one\\ntwo: 2"'],
    ['x: {{ a-b | yaml }}', 'x: {"c d": 1}'],
    [
      'x:\n  {{ db | yaml: 2 }}',
      `x:\n  host: db1\n  port: 5432\n  none: null\n  'on': true\n  quoted: it's "here"`,
    ],
    [
      'x = {{ lines | toml }}, {{ list | toml }}, {{ a-b | toml }}',
      'x = "one\\ntwo: 2", ["b", "a", "B"], { "c d" = 1 }',
    ],
    ['{{ db.host | base64 }} {{ "ZGIx" | base64decode }} {{ "ZGIx" | base64_decode }}', 'ZGIx db1 db1'],
    ['{{ db.quoted | shell }} {{ db.port | shell }}', `'it'\\''s "here"' '5432'`],
    ['{{ db.quoted | nginx }}', '"it\'s \\"here\\""'],
    ['{% assign d = \'{"a":{"b":9007199254740993}}\' | parse_json %}{{ d.a.b }}', '9007199254740993'],
    ['{% assign d = "a: {b: [x]}" | parse_yaml %}{{ d.a.b[0] }}', 'x'],
  ])('in %j makes %j', async (template, output) => {
    expect(await render(template)).toBe(output);
  });

  it.each([
    ['{{ lines | nginx }}', 'it holds a line break, which this format cannot carry safely'],
    ['{{ "$x" | nginx }}', 'it holds "$", which nginx cannot quote'],
    ['{{ list | nginx }}', 'it is a list, which this format cannot hold'],
    ['{{ db | shell }}', 'it is a map, which this format cannot hold here'],
    ['{{ db.none | shell }}', 'it is null, which this format cannot express'],
    ['{{ db | toml }}', 'it is null, which TOML cannot express'],
    [
      '{{ "{" | parse_json }}',
      'the text cannot be read as JSON: line 1, column 2: the text ends where a key in double quotes is expected',
    ],
    [
      '{{ "a: [" | parse_yaml }}',
      'the text cannot be read as YAML: line 1, column 5: unexpected end of the stream within a flow collection',
    ],
    ['{{ db | parse_json }}', 'it is a map, which this format cannot hold here'],
    ['{{ "[1]" | parse_json }}', 'a list cannot be printed; use a filter (join, json, yaml)'],
    ['{{ "a!b" | base64decode }}', 'it is not base64'],
    ['{{ "/w==" | base64decode }}', 'the decoded base64 is not UTF-8 text'],
    ['{{ 0 | date: list }}', 'a list cannot be printed; use a filter (join, json, yaml)'],
    ['{{ db | json: "x" }}', 'the indentation must be a whole number from 0 to 80'],
  ])('in %j refuses', async (template, reason) => {
    expect(await render(template)).toBe(
      `render render.template: Cannot render template "main": line 1: ${reason}`,
    );
  });

  it('is one of ours, or a strict form of one of the library, whatever its name', () => {
    const known = [...Object.keys(createFilters(null)), ...Object.keys(strictFilters(() => () => 0))];
    const own = new Set([...known, ...UNSTEADY_FILTERS, 'raw']);
    expect(Object.keys(new Liquid().filters).filter((name) => !own.has(name))).toEqual([]);
  });

  it('never prints undefined, NaN, [object Object] or a number made of text, whatever the data', async () => {
    const names = Object.keys(new Liquid().filters).concat(Object.keys(createFilters(null)));
    const value: fc.Arbitrary<unknown> = fc.oneof(
      fc.constantFrom(null, true, false, '', 'abc', '12', '1e3', '0x10', ' 5', '1e999', 0, 1.5, -3, 2 ** 53),
      fc.constantFrom([], [null], ['a', 1], [[1]], [{ a: 1 }, { b: 2 }], {}, { a: 'x' }, { size: null }),
    );
    const property = fc.asyncProperty(
      fc.constantFrom(...names),
      value,
      fc.array(fc.constantFrom('x', 'y', '"a"', '"b"', '1', '0', 'nil', '"one.a", "one.b"'), {
        maxLength: 2,
      }),
      value,
      async (name, x, args, y) => {
        const call = `{{ x | ${name}${args.length > 0 ? `: ${args.join(', ')}` : ''} }}`;
        const output = await render(call, Object.assign(createMap() as Record<string, unknown>, { x, y }));
        expect(output).not.toMatch(/undefined(?! filter)|NaN|\[object|Infinity(?!")/);
        const isText = [x, y].includes('abc') && ['plus', 'minus', 'times', 'abs', 'sum'].includes(name);
        if (isText && x === 'abc') expect(output).toMatch(/^render render\.template: /);
      },
    );
    await fc.assert(property, { numRuns: 500 });
  }, 120_000);

  it('shell makes one word of any text, as a shell reads it', async () => {
    const texts = fc.sample(anyText, 300).filter((text) => !text.includes('\0'));
    const scope = Object.assign(createMap() as Record<string, unknown>, { texts });
    const words = await render('{% for t in texts %} {{ t | shell }}{% endfor %}', scope);
    const read = execFileSync('sh', ['-c', `printf '%s\\0'${words}`], { encoding: 'utf8' });
    expect(read.split('\0').slice(0, -1)).toEqual(texts);
  });

  it('nginx makes one argument of any text, or refuses it', async () => {
    for (const text of fc.sample(anyText, 300)) {
      const scope = Object.assign(createMap() as Record<string, unknown>, { text });
      const output = await render('{{ text | nginx }}', scope);
      if (output.startsWith('render ')) expect(text).toMatch(/[$\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
      else {
        expect(output).toMatch(/^"(?:[^"\\$\r\n]|\\["\\])*"$/);
        expect(output.slice(1, -1).replace(/\\(.)/gs, '$1')).toBe(text);
      }
    }
  });
});
