// Commands of the user's: bounded in time and output, ended with everything they started.
import { spawn } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { listProcesses } from '../../../src/application/process/proc.ts';
import { type Command, type CommandResult, runCommand } from '../../../src/lib/command.ts';
import { openCapture } from '../../../src/lib/command-output.ts';
import { SidecarError } from '../../../src/lib/errors.ts';
import { runValidateCommand } from '../../../src/render/validate-command.ts';
import { createStage, until } from '../../support/application/process/apart.ts';

function run(argv: readonly string[], how: Partial<Command> = {}): Promise<CommandResult> {
  return runCommand({
    argv,
    env: { PATH: process.env['PATH'] },
    timeoutMs: 20_000,
    signal: new AbortController().signal,
    maxOutputBytes: 1000,
    ...how,
  });
}

function sh(script: string, how: Partial<Command> = {}): Promise<CommandResult> {
  return run(['sh', '-c', script], how);
}

function isRunning(pid: string): boolean {
  try {
    return !readFileSync(`/proc/${pid.trim()}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

describe('a command', () => {
  test('ends with its exit code and what it printed on both channels', async () => {
    expect(await sh('echo out; echo err >&2; exit 3')).toMatchObject({ kind: 'exit', code: 3 });
    const result = await sh('echo out; echo err >&2');
    expect(result.kind === 'exit' && result.output.split('\n').sort()).toEqual(['', 'err', 'out']);
  });

  test('gets its words as they are, the environment it is given, and nothing to read', async () => {
    const script =
      'process.stdout.write(JSON.stringify([process.argv.slice(1), process.env.A, process.env.HOME]))';
    const result = await run([process.execPath, '-e', script, '$HOME', 'a b', '*'], { env: { A: '1' } });
    expect(result).toEqual({ kind: 'exit', code: 0, output: '[["$HOME","a b","*"],"1",null]' });
    expect(await sh('cat; echo end')).toEqual({ kind: 'exit', code: 0, output: 'end\n' });
    expect(await sh('pwd', { cwd: '/' })).toEqual({ kind: 'exit', code: 0, output: '/\n' });
  });

  test('is distinguished from one that was killed', async () => {
    expect(await sh('echo x; kill -TERM $$')).toEqual({
      kind: 'killed',
      signalName: 'SIGTERM',
      output: 'x\n',
    });
  });

  test('that cannot be started says why', async (context) => {
    const stage = createStage(context);
    const text = stage.at('text');
    writeFileSync(text, 'no program', { mode: 0o644 });
    expect(await run(['/no/such/program'])).toEqual({
      kind: 'not-started',
      reason: 'there is no such program',
    });
    expect(await run([text])).toEqual({ kind: 'not-started', reason: 'the program may not be executed' });
    expect(await run([])).toMatchObject({ kind: 'not-started' });
    expect(await run(['a\0b'])).toMatchObject({ kind: 'not-started' });
    expect(await run(['sh', 'x'.repeat(200_000)])).toEqual({
      kind: 'not-started',
      reason: 'its arguments and environment are too long',
    });
  });

  test('that prints much leaves its beginning and its end', async () => {
    const result = await sh('echo first; seq 1 200000; echo last', { maxOutputBytes: 40 });
    const output = result.kind === 'exit' ? result.output : '';
    expect(output).toMatch(/^first\n1\n2\n[^…]*\n… \d+ bytes left out …\n[^…]*last\n$/);
    expect(Buffer.byteLength(output)).toBeLessThan(100);
  });

  test('that prints no more than is kept loses nothing, wherever it is cut', async () => {
    expect(
      await run([process.execPath, '-e', 'process.stdout.write("€".repeat(10))'], { maxOutputBytes: 30 }),
    ).toEqual({
      kind: 'exit',
      code: 0,
      output: '€'.repeat(10),
    });
  });

  test('may open its output as /dev/stderr or /dev/stdout, as servers do that log there', async () => {
    const { uid } = process.getuid?.() === 0 ? { uid: '65534' } : { uid: String(process.getuid?.()) };
    expect(await sh('echo one; echo two >>/dev/stderr; echo three >>/dev/stdout')).toEqual({
      kind: 'exit',
      code: 0,
      output: 'one\ntwo\nthree\n',
    });
    const asAnother = [
      'setpriv',
      `--reuid=${uid}`,
      '--clear-groups',
      'sh',
      '-c',
      'echo it >>/proc/self/fd/2',
    ];
    expect(await run(asAnother)).toEqual({ kind: 'exit', code: 0, output: 'it\n' });
  });

  test('that prints without end delays nothing, and what it leaves behind is not read', async (context) => {
    const stage = createStage(context);
    let longestMs = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - last);
      last = performance.now();
    }, 5);
    const endless = await sh('exec yes > /dev/stderr', { timeoutMs: 2_000, maxOutputBytes: 40 });
    clearInterval(timer);
    expect(endless).toMatchObject({
      kind: 'timeout',
      output: expect.stringMatching(/^(y\n)+\n… \d+ bytes left out/),
    });
    // A loop that only reads would stand still until the time is over.
    expect(longestMs).toBeLessThan(1_800);
    const script = `yes & echo $! > "${stage.at('child')}"`;
    expect(await sh(script, { maxOutputBytes: 40 })).toMatchObject({ kind: 'exit', code: 0 });
    await until('its output is not read, so it has ended', () => !isRunning(stage.read('child')));
  });

  test('that begins its output again loses nothing of it', async () => {
    const script = 'echo a reason; echo x > /dev/stderr; sleep 0.05; echo a longer line > /dev/stderr';
    expect(await sh(script)).toMatchObject({ output: 'a reason\nx\na longer line\n' });
  });

  test('is heard by pipes where no file can be made', async () => {
    const capture = await openCapture(100, ['/proc/nowhere']);
    const child = spawn('sh', ['-c', 'echo out; echo err >&2'], {
      stdio: ['ignore', capture.stdio, capture.stdio],
    });
    await capture.follow(child);
    expect(capture.text().split('\n').sort()).toEqual(['', 'err', 'out']);
    capture.close();
  });

  test('that hangs is ended at its limit, with what it started and what holds its output', async (context) => {
    const stage = createStage(context);
    const script = `sleep 600 & echo $! > "${stage.at('child')}"; echo begun; wait`;
    const begun = performance.now();
    const result = await sh(`trap '' TERM HUP; ${script}`, { timeoutMs: 500 });
    expect(result).toEqual({ kind: 'timeout', output: 'begun\n' });
    expect(performance.now() - begun).toBeLessThan(10_000);
    await until('its child ended', () => !isRunning(stage.read('child')));
  });

  test('that is over does not wait for what it left behind', async (context) => {
    const stage = createStage(context);
    const begun = performance.now();
    const result = await sh(`setsid sleep 600 & echo $! > "${stage.at('child')}"; echo done`);
    context.onTestFinished(() => void process.kill(Number(stage.read('child')), 'SIGKILL'));
    expect(result).toEqual({ kind: 'exit', code: 0, output: 'done\n' });
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  test('is ended when we stop', async (context) => {
    const stage = createStage(context);
    const stop = new AbortController();
    const running = sh(`sleep 600 & echo $! > "${stage.at('child')}"; wait`, { signal: stop.signal });
    await until('it runs', () => stage.read('child').endsWith('\n'));
    const begun = performance.now();
    stop.abort();
    expect(await running).toEqual({ kind: 'aborted', output: '' });
    expect(performance.now() - begun).toBeLessThan(10_000);
    await until('its child ended', () => !isRunning(stage.read('child')));
    expect(await sh('exit 0', { signal: stop.signal })).toEqual({ kind: 'aborted', output: '' });
  });

  test('run a thousand times leaves no zombie, no open file and no listener', async () => {
    const stop = new AbortController();
    await sh('exit 0', { signal: stop.signal });
    const filesBefore = readdirSync('/proc/self/fd').length;
    for (let batch = 0; batch < 200; batch += 1) {
      const results = await Promise.all(
        Array.from({ length: 5 }, () => run(['true'], { signal: stop.signal })),
      );
      expect(results.every((result) => result.kind === 'exit' && result.code === 0)).toBe(true);
    }
    const children = listProcesses()?.rows.filter(
      ({ ppid, comm }) => ppid === process.pid && comm === 'true',
    );
    expect(children).toEqual([]);
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(filesBefore + 5);
    expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  });
});

describe('the validation command', () => {
  async function validate(
    argv: readonly string[],
    timeoutMs = 20_000,
    signal = new AbortController().signal,
  ) {
    try {
      const env = { PATH: process.env['PATH'] };
      await runValidateCommand({
        argv,
        path: '/stage/a$&b/app.conf',
        env,
        timeoutMs,
        signal,
        mask: (printed) => printed,
      });
      return null;
    } catch (error) {
      if (!(error instanceof SidecarError)) throw error;
      const { code, stage, message, output } = error;
      return { code, stage, message, output };
    }
  }

  test('accepts with exit code 0, and sees the staged path in every word', async () => {
    expect(
      await validate([
        'sh',
        '-c',
        'test "$0 $1" = "/stage/a\\$&b/app.conf -c=/stage/a\\$&b/app.conf:/stage/a\\$&b/app.conf"',
        '{path}',
        '-c={path}:{path}',
      ]),
    ).toBeNull();
  });

  test('refuses with any other, and what it printed is kept', async () => {
    expect(await validate(['sh', '-c', 'echo line 3: bad; exit 2'])).toEqual({
      code: 'validate.command',
      stage: 'validate',
      message: 'Cannot accept the configuration by "sh": it exited with 2',
      output: 'line 3: bad\n',
    });
    expect(await validate(['sh', '-c', 'kill -SEGV $$'])).toMatchObject({
      code: 'validate.command',
      message: 'Cannot accept the configuration by "sh": it was killed by SIGSEGV',
    });
  });

  test('that takes too long, is not there, or is interrupted has a code of its own', async () => {
    expect(await validate(['sleep', '600'], 200)).toEqual({
      code: 'validate.timeout',
      stage: 'validate',
      message:
        'Cannot accept the configuration by "sleep": it took longer than 0.2 s (VALIDATE_TIMEOUT) and was killed',
      output: undefined,
    });
    expect(await validate(['/no/such/check', '{path}'])).toMatchObject({
      code: 'validate.not-found',
      message:
        'Cannot accept the configuration by "/no/such/check": there is no such program; check VALIDATE_COMMAND',
    });
    expect(await validate(['true'], 200, AbortSignal.abort())).toMatchObject({
      code: 'validate.aborted',
      message: 'Cannot accept the configuration by "true": the sidecar is stopping',
    });
  });
});
