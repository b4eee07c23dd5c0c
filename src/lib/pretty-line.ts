// A log line for eyes: time, level, target, what happened, the sentence, and the few details that help.
import { visible } from './bounds.ts';
import { withCode } from './errors.ts';
import { shortDigests } from './short-digests.ts';

const RESET = '\x1b[0m';
const DIM = '\x1b[2m';
const LEVEL_COLORS: Readonly<Record<string, string>> = {
  debug: DIM,
  info: '\x1b[32m',
  warn: '\x1b[33m',
  error: '\x1b[31m',
};

/** `12:30:01 warn  default  rolled-back: The sentence. (generation 3, revision 42)` for a line of JSON. */
export function prettyLine(json: string, colors: boolean): string {
  const { time, level, event, target, message, printed, code = null, ...rest } = JSON.parse(json);
  const paint = (color: string, text: string): string =>
    colors && text !== '' ? `${color}${text}${RESET}` : text;
  const head = [
    paint(DIM, clock(time)),
    paint(LEVEL_COLORS[level] ?? '', String(level).padEnd(5)),
    ...(target === undefined ? [] : [paint(DIM, visible(String(target)))]),
  ].join(' ');
  const sentence = withCode(message === event ? event : `${event}: ${message}`, code);
  const details = Object.entries(rest).map(([name, value]) => `${name} ${short(value)}`);
  const tail = details.length === 0 ? '' : ` ${paint(DIM, `(${details.join(', ')})`)}`;
  return `${head} ${visible(sentence)}${tail}\n${printedLines(printed)}`;
}

/** By the machine's clock, as the other lines on a terminal are. */
function clock(time: string): string {
  const at = new Date(time);
  return [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}

function short(value: unknown): string {
  return visible(shortDigests(typeof value === 'string' ? value : JSON.stringify(value)));
}

function printedLines(printed: unknown): string {
  if (typeof printed !== 'string' || printed === '') return '';
  const lines = printed.trimEnd().split('\n');
  return lines.map((line) => `         | ${visible(line)}\n`).join('');
}
