// One line per event on standard output: JSON, or readable on a terminal. A fixed message, variables in fields.
import * as fs from 'node:fs';
import pino from 'pino';
import { errnoOf, type SidecarError } from './errors.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'json' | 'pretty';
export type Fields = Readonly<Record<string, unknown>>;

/** `event` is the stable name of what happened; everything that varies is a field. */
export type Log = Readonly<Record<LogLevel, (event: string, fields?: Fields) => void>>;

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where the lines go; standard output by default. */
  readonly write?: (line: string) => void;
}

export function createLog({ level, format, write = writeToStandardOutput }: LogOptions): Log {
  const destination = { write: format === 'json' ? write : (line: string) => write(prettyLine(line)) };
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'event',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  const at =
    (name: LogLevel) =>
    (event: string, fields: Fields = {}): void =>
      logger[name](fields, event);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** The fields of an error: code, sentence and what a command printed. Never the error itself, whose cause may hold what must not be told. */
export function errorFields(error: SidecarError): Fields {
  const { code, message, output } = error;
  return output === undefined ? { code, message } : { code, message, output };
}

/** Tries before a line is dropped because nobody reads the pipe; the sidecar must not wait for its log. */
const FULL_PIPE_TRIES = 50;

/** A closed or full pipe must neither kill nor stop us: such a line is lost. */
function writeToStandardOutput(line: string): void {
  for (
    let attempt = 0, rest = Buffer.from(line);
    attempt < FULL_PIPE_TRIES && rest.length > 0;
    attempt += 1
  ) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      if (errnoOf(error) !== 'EAGAIN') return;
    }
  }
}

/** `12:30:01.250 info  published  generation=3 revision="42"` */
function prettyLine(line: string): string {
  const { time, level, event, ...fields } = JSON.parse(line);
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `${[time.slice(11, 23), String(level).padEnd(5), event, ...rest].join(' ')}\n`;
}
