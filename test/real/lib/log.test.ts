import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SidecarError } from '../../../src/lib/errors.ts';
import { createLog, errorFields, type LogFormat, type LogLevel } from '../../../src/lib/log.ts';
import { compile, type Program } from '../../support/publish/programs.ts';

let program: Program;
beforeAll(() => {
  program = compile('log-program.ts');
});
afterAll(() => program.remove());

function linesOf(format: LogFormat, level: LogLevel = 'debug'): readonly string[] {
  const lines: string[] = [];
  const log = createLog({ level, format, write: (line) => lines.push(line) });
  log.debug('snapshot', { target: 'default', revision: '42' });
  log.info('applied', { generation: 3, text: 'two\nlines "quoted" \u2028 \u0000' });
  log.warn('source down', { code: 'source.timeout', message: 'Cannot read "x": it is silent' });
  log.error('failed');
  return lines;
}

describe('the log', () => {
  it('is one line of JSON for each event', () => {
    const lines = linesOf('json');
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(line.indexOf('\n')).toBe(line.length - 1);
    const [first, second] = lines.map((line) => JSON.parse(line));
    expect(first).toEqual({
      level: 'debug',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      target: 'default',
      revision: '42',
      event: 'snapshot',
      message: 'snapshot',
    });
    expect(second.text).toBe('two\nlines "quoted" \u2028 \u0000');
  });

  it('is a sentence for eyes when it is pretty', () => {
    const lines = linesOf('pretty');
    const time = /^\d\d:\d\d:\d\d /;
    for (const line of lines) expect(line).toMatch(time);
    expect(lines.map((line) => line.replace(time, ''))).toEqual([
      'debug default snapshot (revision 42)\n',
      'info  applied (generation 3, text two\\u000alines "quoted" \\u2028 \\u0000)\n',
      'warn  source down: Cannot read "x": it is silent [source.timeout]\n',
      'error failed\n',
    ]);
  });

  it('cuts digests to twelve digits, and shows what a command printed below the sentence', () => {
    const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
    const lines: string[] = [];
    const log = createLog({ level: 'info', format: 'pretty', write: (line) => lines.push(line) });
    log.error('rejected', {
      target: 'web',
      message: 'It says no.',
      rendering: digest,
      printed: 'one\ntwo\u009b2J\n',
    });
    expect(lines.join('').slice(9)).toBe(
      'error web rejected: It says no. (rendering 0123456789ab)\n         | one\n         | two\\u009b2J\n',
    );
  });

  it('has colours only where they are asked for', () => {
    const written = (colors: boolean): string => {
      const lines: string[] = [];
      const write = (line: string): unknown => lines.push(line);
      createLog({ level: 'info', format: 'pretty', colors, write }).warn('drift', { revision: '1' });
      return lines.join('');
    };
    expect(written(true)).toContain('\x1b[33mwarn \x1b[0m drift');
    expect(written(false)).not.toContain('\x1b');
  });

  it('bounds every field, and hides what a terminal would obey without changing what is read back', () => {
    const lines: string[] = [];
    const log = createLog({ level: 'info', format: 'json', write: (line) => lines.push(line) });
    const hidden = 'a\u009b2Jb\u007f\u202ec\u2066';
    log.warn('source down', { message: 'x'.repeat(8_000_000), hidden });
    expect(lines[0]?.length).toBeLessThan(5_000);
    expect(lines[0]).not.toMatch(/[\x7f-\x9f\u202e\u2066]/);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      hidden,
      message: expect.stringMatching(/^x{4095}…$/),
    });
  });

  it('leaves out lines below its level', () => {
    expect(linesOf('json', 'warn').map((line) => JSON.parse(line).event)).toEqual(['source down', 'failed']);
  });

  it('has fields of an error that cannot carry its cause', () => {
    const cause = Object.assign(new Error('Authorization: Bearer secret'), { config: { token: 'secret' } });
    const error = new SidecarError('Cannot read "x": refused', {
      code: 'source.denied',
      stage: 'source',
      cause,
    });
    expect(errorFields(error)).toEqual({ code: 'source.denied', message: 'Cannot read "x": refused' });
    const lines: string[] = [];
    createLog({ level: 'info', format: 'json', write: (line) => lines.push(line) }).error(
      'failed',
      errorFields(error),
    );
    expect(lines.join('')).not.toContain('secret');
  });

  it('leaves out what a command printed where that is asked for', () => {
    const lines: string[] = [];
    const write = (line: string): unknown => lines.push(line);
    const log = createLog({ level: 'info', format: 'json', commandOutput: false, write });
    log.error('failed', { message: 'It failed.', printed: 'a secret of the configuration' });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ event: 'failed', message: 'It failed.' });
    expect(lines[0]).not.toContain('printed');
  });

  it('has what a command printed', () => {
    const error = new SidecarError('It failed.', {
      code: 'validate.exit',
      stage: 'validate',
      output: 'line 3: no',
    });
    expect(errorFields(error)).toEqual({
      code: 'validate.exit',
      message: 'It failed.',
      printed: 'line 3: no',
    });
  });
});

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly errors: string;
  readonly printed: string;
}

/** Runs the program through a shell that decides where its standard output goes. */
function run(
  redirection: string,
  order: { readonly lines: number; readonly isPrettyAsked: boolean },
): Promise<Ended> {
  const script = `"$1" "$2" "$3" ${redirection}`;
  const child = spawn(
    'bash',
    ['-c', `set -o pipefail; ${script}`, 'bash', process.execPath, program.path, JSON.stringify(order)],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    },
  );
  let errors = '';
  let printed = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  return new Promise((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal, errors, printed })),
  );
}

describe('standard output', () => {
  it.each([true, false])('gets every line (pretty: %s)', async (isPrettyAsked) => {
    const { code, printed } = await run('', { lines: 2_000, isPrettyAsked });
    expect(code).toBe(0);
    const lines = printed.trimEnd().split('\n');
    expect(lines).toHaveLength(2_001);
    if (!isPrettyAsked)
      expect(lines.slice(0, -1).map((line) => JSON.parse(line).number)).toEqual(
        Array.from({ length: 2_000 }, (_, i) => i),
      );
  });

  it.each(['>&-', '| true', '>/dev/full'])(
    'may be closed, gone or full ("%s") without an end of the program',
    async (redirection) => {
      const { code, errors } = await run(redirection, { lines: 2_000, isPrettyAsked: false });
      expect({ code, errors }).toEqual({ code: 0, errors: 'alive\n' });
    },
  );

  it.each(['a pipe', 'a socket'])(
    'that nothing reads (%s) stops nothing: lines are dropped whole, counted, and the count is logged',
    async (kind) => {
      const order = JSON.stringify({ lines: 10_000, isPrettyAsked: false, waitsForInput: true });
      const own = [process.execPath, program.path, order];
      // Node's own pipes are sockets; a shell makes a real one.
      const words = kind === 'a socket' ? own : ['bash', '-c', '"$0" "$@" | { read -r -u 3; cat; }', ...own];
      const [command = '', ...rest] = words;
      const child = spawn(command, rest, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'], timeout: 60_000 });
      await new Promise((resolve) => child.stderr?.once('data', resolve));
      let printed = '';
      child.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
      // A program that has ended resets what it has not read.
      for (const stream of child.stdio) stream?.on('error', () => {});
      (child.stdio[3] as NodeJS.WritableStream).end('read now\n');
      child.stdin?.end();
      await new Promise((resolve) => child.once('close', resolve));
      const lines = printed
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      const numbers = lines.filter(({ event }) => event === 'line').map(({ number }) => number);
      const { count, message, level } = lines.find(({ event }) => event === 'log lines dropped') ?? {};
      expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, i) => i));
      expect(count).toBeGreaterThan(1_000);
      expect(numbers.length + count).toBe(10_000);
      expect({ message, level }).toEqual({
        message: `${count} log lines were dropped because nothing read them.`,
        level: 'warn',
      });
      expect(lines.at(-1)).toMatchObject({ event: 'end', dropped: count });
    },
  );
});
