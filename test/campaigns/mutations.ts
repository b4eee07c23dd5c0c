// Takes away each rule of the policy and each event of the state, one at a time, and runs the unit tests of the core: every one must
// turn a test red. Prints a table; ends with 1 when something can be taken away unnoticed. `npm run mutations [NAME]...`

import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly change: (text: string) => string;
}

const ROOT = resolve(import.meta.dirname, '../..');
/** A copy of the tree: no working tree is mutated. */
const COPY = join(ROOT, '.cache/mutations');
const DECIDE = 'src/reconcile/decide.ts';
const STATE = 'src/reconcile/state.ts';
/** Examples first: what one of them notices needs no generated worlds. */
const SUITES = [
  ['decide', 'state', 'running', 'outcome', 'world', 'reconciler'].map(
    (name) => `test/unit/reconcile/${name}.test.ts`,
  ),
  ['test/unit/reconcile/protocol.test.ts'],
];
/** A mutation that makes the tests hang is noticed as well. */
const LONGEST_MS = 180_000;

function mutations(): readonly Mutation[] {
  const decide = readFileSync(join(ROOT, DECIDE), 'utf8');
  const list = /const RULES: readonly Rule\[\] = \[([^\]]*)\]/.exec(decide)?.[1] ?? '';
  const rules = list.split(',').map((name) => name.trim());
  const reduce = readFileSync(join(ROOT, STATE), 'utf8').split('export function reduce(')[1] ?? '';
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
      file: STATE,
      change: (text: string) =>
        text.replace(
          '  const { policy, ledger, session } = state;\n',
          (line) => `  if (event.kind === '${kind}') return state;\n${line}`,
        ),
    })),
  ];
}

function prepare(): void {
  rmSync(COPY, { recursive: true, force: true });
  mkdirSync(COPY, { recursive: true });
  for (const name of ['src', 'providers', 'test', 'package.json', 'tsconfig.json'])
    cpSync(join(ROOT, name), join(COPY, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(COPY, 'node_modules'));
}

/** The first test that fails, or null when all pass. */
async function firstRed(): Promise<string | null> {
  for (const files of SUITES) {
    const red = await runTests(files);
    if (red !== null) return red;
  }
  return null;
}

function runTests(files: readonly string[]): Promise<string | null> {
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
    ...{ cwd: COPY, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
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

prepare();
const wanted = process.argv.slice(2);
const all = mutations().filter(
  ({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)),
);
const unnoticed: string[] = [];
console.log('| taken away | noticed by |\n|---|---|');
for (const { name, file, change } of all) {
  const original = readFileSync(join(ROOT, file), 'utf8');
  const changed = change(original);
  if (changed === original) throw new Error(`Cannot take away ${name}: it is not where it was.`);
  writeFileSync(join(COPY, file), changed);
  const red = await firstRed();
  writeFileSync(join(COPY, file), original);
  if (red === null) unnoticed.push(name);
  console.log(`| ${name} | ${red ?? '**nothing**'} |`);
}
console.log(`\n${all.length} taken away one by one, ${unnoticed.length} unnoticed.`);
process.exitCode = unnoticed.length === 0 ? 0 : 1;
