// What is shown to whom: the pages of the documentation list exactly what the endpoints have.
import { describe, expect, it } from 'vitest';
import { METRICS, type Measured } from '../../../src/server/metric-list.ts';
import { renderPage } from '../../../src/server/page.ts';
import { publicPageOf, publicStatusOf } from '../../../src/server/status.ts';
import type { TargetStatus } from '../../../src/server/status-shape.ts';
import { NOW, statusWith, TARGET } from '../../support/cli/served.ts';
import { page } from '../../support/docs/pages.ts';

/** With every field, also those that are there only sometimes. */
const WHOLE: TargetStatus = {
  ...TARGET,
  difference: '--- a/app.json\n+++ b/app.json\n-one\n+changed-line\n',
  processes: [
    { pid: 4711, program: 'unrelated', user: 0, ageSeconds: 1, memoryBytes: 1, isApplication: false },
  ],
};

const sorted = (all: Iterable<string>): readonly string[] => [...all].sort();

describe('docs/operations.md', () => {
  const rows = [...page('docs/operations.md').text.matchAll(/^\| `(\w+)` \| (everyone|token) \|/gm)];
  const listed = (who: string): readonly string[] =>
    rows.filter((row) => row[2] === who).map(([, field = '']) => field);

  it('lists the fields of a target that everyone sees', () => {
    const shown = publicStatusOf(statusWith(WHOLE)).targets['default'] ?? {};
    expect(sorted(listed('everyone'))).toEqual(sorted(Object.keys(shown)));
  });

  it('lists the fields that need the token', () => {
    const open = new Set(listed('everyone'));
    const others = Object.keys(WHOLE).filter((field) => !open.has(field));
    expect(sorted(listed('token'))).toEqual(sorted(others));
  });
});

describe('docs/security.md', () => {
  /** The names in the row of a path. */
  const listed = (path: string): readonly string[] => {
    const { text } = page('docs/security.md');
    const row = text.split('\n').find((line) => line.startsWith(`| \`${path}\` |`)) ?? '';
    return [...row.slice(row.indexOf('|', 2)).matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
  };

  it('lists what /status shows without the token', () => {
    const { targets, ...top } = publicStatusOf(statusWith(WHOLE));
    const names = [...Object.keys(top), ...Object.keys(targets['default'] ?? {})];
    expect(sorted(listed('/status'))).toEqual(sorted(names));
  });

  it('lists what the page shows besides', () => {
    const shown = publicPageOf(statusWith(WHOLE));
    const open = new Set(listed('/status'));
    const names = Object.keys(shown.targets['default'] ?? {}).filter((field) => !open.has(field));
    expect(sorted(listed('/'))).toEqual(sorted(names));
    const text = renderPage(shown, NOW);
    for (const secret of ['unrelated', 'printed by the hook', 'changed-line']) {
      expect(text).not.toContain(secret);
      expect(renderPage(statusWith(WHOLE), NOW)).toContain(secret);
    }
  });

  it('lists the labels of the metrics', () => {
    const measured: Measured = {
      ...{ name: 'default', status: WHOLE, ready: true, fresh: true, generation: 1, appliedAt: 1 },
      ...{ outcomes: {}, reloads: {}, durations: {}, errors: { 'file:///a': {} } },
    };
    const labels = METRICS.flatMap(({ samples }) =>
      samples(measured).flatMap((sample) => Object.keys(sample.labels)),
    );
    // The version is that of the metric on the program itself.
    expect(sorted(listed('/metrics'))).toEqual(sorted(new Set([...labels, 'version'])));
  });
});
