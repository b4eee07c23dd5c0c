// The rules and the dashboard of examples/monitoring speak of metrics, outcomes and pages that exist.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { describe, expect, test } from 'vitest';
import { METRICS, OUTCOMES } from '../../../src/server/metric-list.ts';
import { page, ROOT } from '../../support/docs/pages.ts';

const file = (name: string): string => readFileSync(join(ROOT, 'examples/monitoring', name), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const { groups } = load(file('rules.yml')) as {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
};
const rules = groups.flatMap((group) => group.rules);

const { panels, templating } = JSON.parse(file('dashboard.json')) as {
  readonly panels: readonly {
    readonly title: string;
    readonly description: string;
    readonly targets: readonly { readonly expr: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly definition?: string }[] };
};

/** Metrics that no target has: those of the process, of the program, and of Prometheus itself. */
const OTHERS = ['build_info', 'log_lines_dropped_total'].map((name) => `config_sidecar_${name}`);
const KNOWN = [...METRICS.map(({ name }) => name), ...OTHERS];

/** The metrics that a query names; of a histogram its parts count as itself. */
function named(query: string): readonly string[] {
  const names = query.match(/\bconfig_sidecar_\w+/g) ?? [];
  return names.map((name) => name.replace(/(seconds)_(bucket|sum|count)$/, '$1'));
}

test('the README lists the alerts that there are', () => {
  const listed = [...file('README.md').matchAll(/^\| `(ConfigSidecar\w+)`/gm)].map(([, name]) => name);
  expect(listed).toEqual(rules.map(({ alert }) => alert));
});

describe.each(rules.map((rule) => [rule.alert, rule] as const))('%s', (alert, { expr, annotations }) => {
  test('asks for metrics and outcomes that exist', () => {
    expect(named(expr).filter((name) => !KNOWN.includes(name))).toEqual([]);
    const outcomes = [...expr.matchAll(/outcome=~?"([^"]+)"/g)].flatMap(([, all = '']) => all.split('|'));
    expect(outcomes.filter((one) => !OUTCOMES.includes(one))).toEqual([]);
  });

  test('says what to run, and names a heading or code of the page on troubleshooting', () => {
    expect(Object.keys(annotations)).toEqual(['summary', 'description', 'runbook']);
    const anchor = /docs\/troubleshooting\.md#([\w-]+)\.$/.exec(annotations['runbook'] ?? '')?.[1] ?? '';
    const { text } = page('docs/troubleshooting.md');
    const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, '')
        .replaceAll(' ', '-'),
    );
    const codes = [...text.matchAll(/<a id="([\w-]+)">/g)].map(([, id]) => id);
    expect([...headings, ...codes]).toContain(anchor);
  });

  test('is tested', () => {
    expect(file('rules-test.yml')).toContain(`alertname="${alert}"`);
  });
});

test('every outcome that needs a person is in a rule; the others are good, pinned, or a reload that is owed', () => {
  const good = ['applied', 'unchanged', 'picked-up', 'pinned'];
  const owed = ['held-back', 'no-target', 'ambiguous', 'not-permitted', 'ignored', 'stale-mount'];
  const inRules = rules.flatMap(({ expr }) =>
    [...expr.matchAll(/outcome=~?"([^"]+)"/g)].flatMap(([, all = '']) => all.split('|')),
  );
  expect([...good, ...owed, ...inRules].sort()).toEqual([...OUTCOMES].sort());
});

describe('the dashboard', () => {
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

  test('asks for metrics that exist, and shows every one of them', () => {
    const variables = templating.list.flatMap(({ definition }) => definition ?? []);
    const asked = [...queries, ...variables].flatMap(named);
    expect(asked.filter((name) => !KNOWN.includes(name))).toEqual([]);
    const shown = new Set(queries.flatMap(named));
    expect(KNOWN.filter((name) => !shown.has(name))).toEqual([]);
  });

  test('says of every panel what it shows', () => {
    expect(panels.filter(({ title, description }) => title === '' || description === '')).toEqual([]);
  });
});
