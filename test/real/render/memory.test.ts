// The memory limit of our own examples: a document is published under it, or refused with a sentence, and nothing is killed.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const PLACE = mkdtempSync(join(tmpdir(), 'memory-'));
const MIB = 1024 * 1024;
/** The limit in the manifests below `examples/`. */
const LIMIT = 128 * MIB;
/** What MAX_SIZE is by default under that limit. */
const SIZE = 2 * MIB;

const GROUP = createGroup();
afterAll(() => {
  rmdirSync(GROUP);
  rmSync(PLACE, { recursive: true });
});

/** A control group of either version with that limit, which root may make. */
function createGroup(): string {
  const [root, file] = existsSync('/sys/fs/cgroup/memory')
    ? ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes']
    : ['/sys/fs/cgroup', 'memory.max'];
  const group = join(root, `config-sidecar-${process.pid}`);
  try {
    mkdirSync(group);
    writeFileSync(join(group, file), `${LIMIT}`);
  } catch (cause) {
    throw new Error('This test needs root, and a control group for memory that it may write.', { cause });
  }
  return group;
}

interface Outcome {
  readonly status: number | null;
  readonly log: string;
  readonly bytes: number;
}

function once(text: string, from: string, settings: Readonly<Record<string, string>>): Outcome {
  const source = join(PLACE, `source.${from}`);
  const output = join(PLACE, settings['OUTPUT'] ?? '');
  rmSync(output, { force: true });
  rmSync(join(PLACE, '.config-sidecar'), { recursive: true, force: true });
  writeFileSync(source, text);
  const program = `echo $$ > ${GROUP}/cgroup.procs; exec "$0" "$@"`;
  const { status, stdout, stderr } = spawnSync(
    'sh',
    ['-c', program, process.execPath, join(ROOT, 'dist/main.js'), 'once'],
    {
      encoding: 'utf8',
      env: { LISTEN: 'off', LOG_LEVEL: 'warn', ...settings, SOURCE: source, OUTPUT: output },
    },
  );
  return { status, log: stdout + stderr, bytes: existsSync(output) ? statSync(output).size : 0 };
}

/** A document of about the largest size, made of short lines. */
function document(format: string): string {
  const lines: string[] = [];
  for (let n = 0, size = 2; ; n += 1) {
    const value = `value ${n} and some more text`;
    const line = {
      json: `"key${n}":"${value}"`,
      yaml: `key${n}: ${value}`,
      toml: `key${n} = "${value}"`,
      ini: `key${n} = ${value}`,
      env: `KEY${n}='${value}'`,
      properties: `key${n}=${value}`,
    }[format];
    size += (line?.length ?? 0) + 1;
    if (size >= SIZE) break;
    lines.push(line ?? '');
  }
  return format === 'json' ? `{${lines.join(',')}}` : `${lines.join('\n')}\n`;
}

describe('under the memory limit of the examples', () => {
  it.each([
    ['json', 'json'],
    ['json', 'yaml'],
    ['yaml', 'yaml'],
    ['yaml', 'toml'],
    ['toml', 'toml'],
    ['toml', 'json'],
    ['ini', 'yaml'],
    ['env', 'json'],
    ['properties', 'toml'],
    ['properties', 'env'],
  ])('a document of MAX_SIZE is published: %s as %s', (from, to) => {
    const text = document(from);
    expect(text.length).toBeGreaterThan(SIZE - 100);
    const { status, log, bytes } = once(text, from, { OUTPUT: `out.${to}` });
    expect({ status, log }).toEqual({ status: 0, log: '' });
    expect(bytes).toBeGreaterThan(SIZE * 0.85);
  });

  const maps = `[${'{},'.repeat(SIZE / 3 - 10)}{}]`;
  const laughs = Array.from({ length: 30 }, (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n},`.repeat(9)}]\n`);
  const bombs: readonly (readonly [string, string, string, string, RegExp])[] = [
    ['a million maps', maps, 'json', 'json', /it holds more than 262144 values; make it smaller, or raise/],
    [
      'a million maps',
      maps,
      'yaml',
      'yaml',
      /it (?:holds|needs) more .* raise the memory limit of the container/,
    ],
    [
      'a million maps',
      maps,
      'yaml',
      'json',
      /it (?:holds|needs) more .* raise the memory limit of the container/,
    ],
    [
      'a million numbers',
      `[${'1,'.repeat(SIZE / 2 - 10)}1]`,
      'json',
      'yaml',
      /it holds more than 262144 values/,
    ],
    ['a million tables', `${'[[a]]\n'.repeat(SIZE / 6 - 10)}`, 'toml', 'json', /it (?:holds|needs) more/],
    [
      'a billion laughs',
      `a0: &a0 [x]\n${laughs.join('')}`,
      'yaml',
      'yaml',
      /it holds more than 262144 values/,
    ],
    ['a list in itself', 'a: &a [*a]\n', 'yaml', 'yaml', /nested deeper than 100 levels|unidentified alias/],
    ['a deep list', `${'['.repeat(SIZE - 100)}`, 'yaml', 'yaml', /deep|nesting/],
    ['a deep list', `${'['.repeat(SIZE - 100)}`, 'json', 'json', /nested deeper than 100 levels/],
    [
      'a tag that runs code',
      'a: !!python/object/apply:os.system [id]\n',
      'yaml',
      'yaml',
      /it has an unknown tag/,
    ],
  ];
  it.each(bombs)('%s is refused with a sentence: %#', (_what, text, from, to, reason) => {
    const { status, log } = once(text, from, { OUTPUT: `out.${to}` });
    expect([status, log]).toEqual([4, expect.stringMatching(reason)]);
  });

  it('data is checked by a schema that a hostile document makes long', () => {
    const schema = join(PLACE, 'schema.json');
    const node = {
      anyOf: [
        { type: 'array', items: { $ref: '#' } },
        { type: 'array', items: { $ref: '#' }, minItems: 1 },
      ],
    };
    writeFileSync(schema, JSON.stringify(node));
    const deep = `${'['.repeat(60)}1${']'.repeat(60)}`;
    const startedAt = performance.now();
    const { status, log } = once(deep, 'json', { OUTPUT: 'out.json', SCHEMA: schema, ONCE_TIMEOUT: '100s' });
    expect([status, log]).toEqual([4, expect.stringMatching(/was stopped: it (?:takes longer|needs more)/)]);
    expect(performance.now() - startedAt).toBeLessThan(90_000);
    expect(readFileSync(schema, 'utf8')).toContain('anyOf');
  }, 120_000);
});
