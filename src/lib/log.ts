// One line per event on standard output: JSON, or for eyes. A fixed event, a sentence, variables in fields.

import pino from 'pino';
import { cut, MAX_VIOLATIONS, visible } from './bounds.ts';
import type { SidecarError } from './errors.ts';
import { isoTime } from './iso-time.ts';
import { createLogSink, type LogSink } from './log-sink.ts';
import { prettyLine } from './pretty-line.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'json' | 'pretty';
export type Fields = Readonly<Record<string, unknown>>;

/** `event` is the stable name of what happened, `message` a sentence (by default the event); what varies is a field. */
export type Log = Readonly<Record<LogLevel, (event: string, fields?: Fields) => void>>;

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Whether what commands and hooks printed (the field `printed`) is logged. Default true. */
  readonly commandOutput?: boolean;
  /** Colours in `pretty`. Default: none. */
  readonly colors?: boolean;
  /** Where the lines go; standard output by default. */
  readonly write?: (line: string) => void;
}

/** Every log writes there: what one of them has not written yet stands before what the next one says. */
let standardOutput: LogSink | null = null;

/** How many log lines were dropped since the start because nothing read them. */
export function droppedLines(): number {
  return standardOutput?.dropped() ?? 0;
}

/** Gives the reader of the log so many milliseconds to take what is left; to be called before the process ends. */
export async function flushLog(ms: number): Promise<void> {
  await standardOutput?.flush(ms);
}

export function createLog(options: LogOptions): Log {
  if (options.write !== undefined) return logTo(options.write, options);
  standardOutput ??= createLogSink();
  const log = logTo(standardOutput.write, options);
  standardOutput.onRoom = (count) => {
    const message = `${count} log lines were dropped because nothing read them.`;
    log.warn('log lines dropped', { count, message });
  };
  return log;
}

function logTo(write: (line: string) => void, options: LogOptions): Log {
  const { level, format, commandOutput = true, colors = false } = options;
  const shown = format === 'json' ? safeLine : (line: string) => prettyLine(line, colors);
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'event',
      timestamp: () => `,"time":"${isoTime(Date.now())}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => write(shown(line)) },
  );
  const at =
    (name: LogLevel) =>
    (event: string, fields: Fields = {}): void => {
      if (!logger.isLevelEnabled(name)) return;
      logger[name](
        bounded({ message: event, ...(commandOutput ? fields : { ...fields, [PRINTED]: undefined }) }),
        event,
      );
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** The same log; every line of it has these fields as well. */
export function withFields(log: Log, more: Fields): Log {
  const at =
    (name: LogLevel) =>
    (event: string, fields: Fields = {}): void =>
      log[name](event, { ...more, ...fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** What a command printed has a bound of its own (16 KiB), where it is read. */
const PRINTED = 'printed';

function bounded(fields: Fields): Fields {
  const cutField = ([name, value]: [string, unknown]): [string, unknown] =>
    typeof value === 'string' && name !== PRINTED ? [name, cut(value, MAX_VIOLATIONS)] : [name, value];
  return Object.fromEntries(Object.entries(fields).map(cutField));
}

/** JSON leaves some characters as they are that a terminal obeys. All of them stand inside of texts. */
function safeLine(line: string): string {
  return `${visible(line.trimEnd())}\n`;
}

/** The fields of an error: code, sentence and what a command printed. Never the error itself: its cause may hold secrets. */
export function errorFields(error: SidecarError): Fields {
  const { code, message, output } = error;
  return output === undefined ? { code, message } : { code, message, [PRINTED]: output };
}
