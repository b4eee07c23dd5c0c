// Takes away each rule of the policy and each event of the state, one at a time, and runs the unit tests of the core: every one must
// turn a test red. Prints a table, and how long it took; ends with 1 when something can be taken away unnoticed.
// `npm run mutations [WORD]...`: only those whose names contain one of the words.

import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly change: (text: string) => string;
}

const ROOT = resolve(import.meta.dirname, '../..');
/** Copies of the tree, one for each of those that run at the same time: the working tree is not touched. */
const COPIES = [0, 1].map((lane) => join(ROOT, `.cache/mutations-${lane}`));
const DECIDE = 'src/reconcile/decide.ts';
const REDUCE = 'src/reconcile/reduce.ts';
/** Examples first: what one of them notices needs no generated worlds. */
const SUITES = [
  ['test/unit/reconcile', '--exclude', '**/protocol.test.ts'],
  ['test/unit/reconcile/protocol.test.ts'],
];
/** A mutation that makes the tests hang is noticed as well. */
const LONGEST_MS = 180_000;

function mutations(): readonly Mutation[] {
  const decide = readFileSync(join(ROOT, DECIDE), 'utf8');
  const list = /const RULES: readonly Rule\[\] = \[([^\]]*)\]/.exec(decide)?.[1] ?? '';
  const rules = list.split(',').map((name) => name.trim());
  const reduce = readFileSync(join(ROOT, REDUCE), 'utf8').split('export function reduce(')[1] ?? '';
  const body = reduce.slice(0, reduce.indexOf('\n}\n'));
  const kinds = [...body.matchAll(/^ {4}case '([a-z-]+)':/gm)].map(([, kind = '']) => kind);
  return [
    ...rules
      .filter((name) => name !== '')
      .map((name) => ({
        name: `rule ${name}`,
        file: DECIDE,
        change: (text: string) => text.replace(`\n  ${name},\n`, '\n'),
      })),
    ...kinds.map((kind) => ({
      name: `event ${kind}`,
      file: REDUCE,
      change: (text: string) =>
        text.replace(
          '  const { policy, ledger, session } = state;\n',
          (line) => `  if (event.kind === '${kind}') return state;\n${line}`,
        ),
    })),
  ];
}

function prepare(copy: string): void {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of ['src', 'providers', 'test', 'package.json', 'tsconfig.json'])
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
}

/** The first test that fails without it, or null when all pass. */
async function firstRed({ name, file, change }: Mutation, copy: string): Promise<string | null> {
  const original = readFileSync(join(ROOT, file), 'utf8');
  const changed = change(original);
  if (changed === original) throw new Error(`Cannot take away ${name}: it is not where it was.`);
  writeFileSync(join(copy, file), changed);
  try {
    for (const files of SUITES) {
      const red = await runTests(files, copy);
      if (red !== null) return red;
    }
    return null;
  } finally {
    writeFileSync(join(copy, file), original);
  }
}

function runTests(files: readonly string[], copy: string): Promise<string | null> {
  const words = [
    'run',
    '--config',
    'test/vitest.config.ts',
    '--project',
    'unit',
    '--bail',
    '1',
    '--reporter',
    'verbose',
  ];
  const env = {
    ...process.env,
    NO_COLOR: '1',
    PROTOCOL_RUNS: '150',
    FAST_CHECK_SEED: '1',
    PROTOCOL_SHRINKS: 'no',
  };
  const child = spawn(join(ROOT, 'node_modules/.bin/vitest'), [...words, ...files], {
    ...{ cwd: copy, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return new Promise((done) => {
    const timer = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      done('(the tests hang)');
    }, LONGEST_MS);
    child.once('close', (code) => {
      clearTimeout(timer);
      const [, name = 'a test file that cannot be loaded'] =
        /^ FAIL {2}(?:\|unit\| )?(.*)$/m.exec(output) ?? [];
      done(code === 0 ? null : name);
    });
  });
}

const startedAt = Date.now();
const wanted = process.argv.slice(2);
const all = mutations().filter(
  ({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)),
);
const left = [...all];
const unnoticed: string[] = [];
console.log('| taken away | noticed by |\n|---|---|');
await Promise.all(
  COPIES.map(async (copy) => {
    prepare(copy);
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const red = await firstRed(next, copy);
      if (red === null) unnoticed.push(next.name);
      console.log(`| ${next.name} | ${red ?? '**nothing**'} |`);
    }
  }),
);
const seconds = Math.round((Date.now() - startedAt) / 1000);
console.log(`\n${all.length} taken away one by one in ${seconds} s, ${unnoticed.length} unnoticed.`);
process.exitCode = unnoticed.length === 0 ? 0 : 1;
