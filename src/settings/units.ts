// Settings that are quantities: durations, sizes, modes, owners.

import { InvalidValue } from '../lib/invalid-value.ts';
import { memoryLimit } from '../lib/memory.ts';
import type { Kind } from './kind.ts';
import type { Owner } from './types.ts';

const UNIT_MS = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;

/** Timers of Node.js count in 31 bits; a longer one fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** A duration in milliseconds. A bare number means seconds; decimals are fine (`1.5s`); at most `596h`. */
export function duration(options: { readonly atLeastMs: number }): Kind<number> {
  return {
    type: 'duration',
    parse: (text) => {
      const ms = durationMs(text);
      if (ms === undefined) {
        throw new InvalidValue(
          'a duration is a number and one unit (ms, s, m or h; none means seconds), such as 500ms, 30s, 5m or 1h',
          meantDuration(text),
        );
      }
      if (ms < options.atLeastMs)
        throw new InvalidValue(`it must be at least ${printDuration(options.atLeastMs)}`);
      if (ms > LONGEST_MS) throw new InvalidValue('it must be at most 596h');
      return ms;
    },
    print: printDuration,
  };
}

/** The largest unit that shows it as a whole number, with `60s` rather than `1m`: `90s`, `500ms`, `10m`. */
export function printDuration(ms: number): string {
  if (ms === 0) return '0';
  for (const [unit, size] of Object.entries(UNIT_MS)) {
    if (ms % size === 0 && !(unit === 'm' && ms === size)) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

function durationMs(text: string): number | undefined {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  if (amount === undefined) return undefined;
  return Math.round(Number(amount) * UNIT_MS[(unit ?? 's') as keyof typeof UNIT_MS]);
}

const UNIT_WORDS: Readonly<Record<string, string>> = {
  ms: 'ms',
  msec: 'ms',
  millisecond: 'ms',
  milliseconds: 'ms',
  s: 's',
  sec: 's',
  second: 's',
  seconds: 's',
  m: 'm',
  min: 'm',
  minute: 'm',
  minutes: 'm',
  h: 'h',
  hr: 'h',
  hour: 'h',
  hours: 'h',
};

function meantDuration(text: string): string | undefined {
  const [, amount, unit] = /^\+?(\d+(?:[.,]\d+)?|\.\d+)\s*([a-z]+)?$/i.exec(text) ?? [];
  if (amount === undefined) return undefined;
  const number = amount.replace(',', '.').replace(/^\./, '0.');
  if (unit === undefined) return number;
  const days = /^d(?:ays?)?$/i.test(unit) && Number.isInteger(Number(number));
  if (days && Number(number) <= 24) return `${Number(number) * 24}h`;
  const known = UNIT_WORDS[unit.toLowerCase()];
  return known === undefined ? undefined : `${number}${known}`;
}

const UNIT_BYTES = { GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10 } as const;

/** So many times its size a document can take while it is read, rendered and written, in any format. */
const MEMORY_PER_BYTE = 64;

/** The default of `MAX_SIZE` as it is written: what can be published in the memory that there is. */
export function defaultMaxSize(limit = memoryLimit()): string {
  const kib = Math.min(16 * 1024, Math.max(64, Math.floor(limit / MEMORY_PER_BYTE / 1024)));
  return kib % 1024 === 0 ? `${kib / 1024}MiB` : `${kib}KiB`;
}

/** The largest `MAX_SIZE`: what one buffer and its text can be on every supported Node.js. */
const LARGEST_BYTES = 2 ** 29;

/** A size in bytes: `64KiB`, `16MiB`, or a bare number of bytes; at least 1, at most `512MiB`. */
export const size: Kind<number> = {
  type: 'size',
  parse: (text) => {
    const [, amount, unit] = /^(\d+)(KiB|MiB|GiB)?$/.exec(text) ?? [];
    if (amount === undefined) {
      throw new InvalidValue(
        'a size is a whole number and a unit (KiB, MiB or GiB; none means bytes), such as 64KiB or 16MiB',
        meantSize(text),
      );
    }
    const bytes = Number(amount) * (unit === undefined ? 1 : UNIT_BYTES[unit as keyof typeof UNIT_BYTES]);
    if (bytes < 1) throw new InvalidValue('it must be at least 1');
    if (bytes > LARGEST_BYTES) throw new InvalidValue('it must be at most 512MiB');
    return bytes;
  },
  print: (bytes) => {
    for (const [unit, unitBytes] of Object.entries(UNIT_BYTES)) {
      if (bytes % unitBytes === 0) return `${bytes / unitBytes}${unit}`;
    }
    return String(bytes);
  },
};

function meantSize(text: string): string | undefined {
  const [, amount, letter] = /^\+?(\d+)\s*(?:([kmg])(?:i?b?|ib?ytes)?|b|bytes?)$/i.exec(text) ?? [];
  if (amount === undefined) return undefined;
  return letter === undefined ? amount : `${amount}${letter.toUpperCase()}iB`;
}

/** Permission bits, octal: `0644`. No set-user-ID, set-group-ID or sticky bit. */
export const mode: Kind<number> = {
  type: 'mode',
  parse: (text) => {
    const [, digits] = /^0?([0-7]{3})$/.exec(text) ?? [];
    if (digits === undefined) {
      const [, meant] = /^0?o?([0-7]{3})$/i.exec(text) ?? [];
      throw new InvalidValue('a mode is three octal digits, such as 0644 or 640', meant && `0${meant}`);
    }
    return Number.parseInt(digits, 8);
  },
  print: (bits) => bits.toString(8).padStart(4, '0'),
};

/** The kernel keeps 2^32 - 1 to mean "no change". */
const LARGEST_ID = 2 ** 32 - 2;

/** `uid[:gid]`, numbers only: most images have no user database, and the containers share none. */
export const owner: Kind<Owner> = {
  type: '`uid[:gid]`',
  parse: (text) => {
    const [, uid, gid] = /^(\d+)(?::(\d+))?$/.exec(text) ?? [];
    if (uid === undefined) {
      const meant = text === 'root' ? '0' : text === 'root:root' ? '0:0' : undefined;
      throw new InvalidValue('an owner is a numeric uid, or uid:gid, such as 1000 or 1000:1000', meant);
    }
    for (const id of [uid, gid ?? '0']) {
      if (Number(id) > LARGEST_ID)
        throw new InvalidValue(`${id} is too large for a user or group: the largest is ${LARGEST_ID}`);
    }
    return { uid: Number(uid), gid: gid === undefined ? null : Number(gid) };
  },
  print: ({ uid, gid }) => (gid === null ? String(uid) : `${uid}:${gid}`),
};
