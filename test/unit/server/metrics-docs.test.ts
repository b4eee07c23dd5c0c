// The page for operations lists every metric, with its type and a query; and a series is there for every code of a source error.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { METRICS, SOURCE_CODES } from '../../../src/server/metric-list.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** Those of the process, which are not read off a target. */
const OTHERS = [
  ['config_sidecar_build_info', 'gauge'],
  ['config_sidecar_log_lines_dropped_total', 'counter'],
] as const;

it('lists each metric with its type, what it means and an example that uses it, and no other', () => {
  const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(config_sidecar_\w+)` \| (\w+) \| (.+?) \| `(.+)` \|$/gm)];
  const listed = rows.map(([, name = '', type = '']) => [name, type]);
  const known = [...METRICS.map(({ name, type }) => [name, type]), ...OTHERS];
  const sorted = (all: readonly (readonly string[])[]) =>
    [...all].sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  expect(sorted(listed)).toEqual(sorted(known));
  for (const [, name = '', , , query = ''] of rows) expect(query).toContain(name);
});

it('has a series for each code of a source error in the code', () => {
  const files = ['src/source', 'providers'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(ROOT, folder, name), 'utf8')),
  );
  const codes = new Set(files.flatMap((text) => text.match(/(?<=')source\.[a-z-]+(?=')/g) ?? []));
  expect([...codes].filter((code) => !SOURCE_CODES.includes(code))).toEqual([]);
});
