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
    });
    expect(second.text).toBe('two\nlines "quoted" \u2028 \u0000');
  });

  it('says the same events by the same names when it is pretty, one line each', () => {
    const lines = linesOf('pretty');
    const events = linesOf('json').map((line) => JSON.parse(line));
    expect(lines).toHaveLength(events.length);
    for (const [i, line] of lines.entries()) {
      expect(line.indexOf('\n')).toBe(line.length - 1);
      expect(line).toMatch(
        new RegExp(`^\\d\\d:\\d\\d:\\d\\d\\.\\d{3} ${events[i].level} +${events[i].event}( |\\n)`),
      );
    }
    expect(lines[2]?.slice(13)).toBe(
      'warn  source down code="source.timeout" message="Cannot read \\"x\\": it is silent"\n',
    );
  });

  it('leaves out what is below its level', () => {
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

  it('has what a command printed', () => {
    const error = new SidecarError('It failed.', {
      code: 'validate.exit',
      stage: 'validate',
      output: 'line 3: no',
    });
    expect(errorFields(error)).toEqual({
      code: 'validate.exit',
      message: 'It failed.',
      output: 'line 3: no',
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
    expect(lines).toHaveLength(2_000);
    if (!isPrettyAsked)
      expect(lines.map((line) => JSON.parse(line).number)).toEqual(
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
});
