// The demo is the first thing a new user runs: it must show what it says, end by itself and leave nothing behind.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const DEMO = join(ROOT, 'examples/local-dev/demo.mjs');
const README = join(ROOT, 'README.md');
const TIME_LIMIT_MS = 60_000;

interface Demo {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** The exit code, or the name of the signal. */
  readonly ended: Promise<number | string | null>;
  /** Where the demo may leave something behind: its own folder for temporary files. */
  readonly temporary: string;
}

function startDemo(...words: string[]): Demo {
  const temporary = mkdtempSync(join(tmpdir(), 'demo-test-'));
  const env = { PATH: process.env['PATH'], TMPDIR: temporary };
  const child = spawn(process.execPath, [DEMO, ...words], { cwd: temporary, env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<number | string | null>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(temporary, { recursive: true, force: true });
  });
  return { child, output: () => output, ended, temporary };
}

/** Processes that work in this folder, also when it is gone. */
function processesBelow(folder: string): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/cwd`).startsWith(`${folder}/`);
    } catch {
      return false;
    }
  });
}

/** The README's transcript: the block that begins with the demo's first sentence. */
function transcript(): string {
  const [, block = ''] =
    /```text\n(The sidecar starts\.[\s\S]*?)```/.exec(readFileSync(README, 'utf8')) ?? [];
  return block;
}

/** The lines of each speaker in order: those of two speakers may change places. */
function spoken(text: string): Readonly<Record<string, readonly string[]>> {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const by = (speaker: string) => lines.filter((line) => line.startsWith(`  ${speaker}`));
  return { story: lines.filter((line) => !line.startsWith('  ')), sidecar: by('sidecar'), app: by('app') };
}

test('the demo shows a change, a refusal and another change, ends by itself and leaves nothing behind', async () => {
  const startedAt = Date.now();
  const demo = startDemo();
  const code = await demo.ended;
  expect(demo.output()).toContain('Everything is stopped and removed.');
  expect(code).toBe(0);
  expect(Date.now() - startedAt).toBeLessThan(TIME_LIMIT_MS);
  expect(readdirSync(demo.temporary)).toEqual([]);
  expect(processesBelow(demo.temporary)).toEqual([]);
  expect(spoken(transcript()).sidecar?.length).toBeGreaterThan(10);
  expect(spoken(demo.output())).toEqual(spoken(transcript()));
});

test('with --keep it goes on as it says, and Ctrl-C ends all', async () => {
  const demo = startDemo('--keep');
  const says = (text: string | RegExp) =>
    expect.poll(demo.output, { timeout: TIME_LIMIT_MS, interval: 50 }).toMatch(text);
  await says('Ctrl-C ends everything.');
  const file = /edit +(\S+)/.exec(demo.output())?.[1] ?? '';
  const [app = '', status = ''] = [...demo.output().matchAll(/curl (\S+)/g)].map(([, url]) => url);
  writeFileSync(file, 'greeting: Played with\nworkers: 5\n');
  await says(/SIGHUP: now runs with greeting "Played with", 5 workers/);
  expect(await (await fetch(app)).text()).toBe('Played with from 5 workers\n');
  expect(await (await fetch(status)).json()).toMatchObject({ ready: true, fresh: true });
  demo.child.kill('SIGINT');
  expect(await demo.ended).toBe(0);
  expect(readdirSync(demo.temporary)).toEqual([]);
  expect(processesBelow(demo.temporary)).toEqual([]);
});

test('what should be seen and is not makes the demo fail', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'demo-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  // The same demo beside a program that is no sidecar.
  execFileSync('mkdir', ['-p', join(folder, 'examples'), join(folder, 'dist'), join(folder, 'tmp')]);
  execFileSync('cp', ['-r', join(ROOT, 'examples/local-dev'), join(folder, 'examples/')]);
  writeFileSync(join(folder, 'dist/main.js'), 'console.log("I do nothing");');
  const script = join(folder, 'examples/local-dev/demo.mjs');
  const env = { PATH: process.env['PATH'], TMPDIR: join(folder, 'tmp') };
  const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(errors).toContain(
    'The demo failed, waiting for: the first publication; but sidecar ended with 0\nWhat was said:\n  sidecar: I do nothing\n',
  );
  expect(code).toBe(1);
  expect(readdirSync(join(folder, 'tmp'))).toEqual([]);
});

test('"npm run demo" builds first, and hands its words on to the demo', () => {
  expect(packageJson.scripts.demo).toBe('npm run --silent build && exec node examples/local-dev/demo.mjs');
});
