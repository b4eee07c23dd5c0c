// Settings that speak of HTTP: URLs, headers, statuses, and the address we listen at.
import { InvalidValue } from '../lib/invalid-value.ts';
import { maskUrl } from '../lib/mask.ts';
import type { Kind } from './kind.ts';
import { nearest } from './nearest.ts';

/** A URL that is asked with HTTP. */
export const httpUrl: Kind<string> = {
  type: 'URL',
  parse: (text) => {
    const [, written, slashes] = /^([a-z][a-z0-9+.-]*):(\/*)/i.exec(text) ?? [];
    if (written === undefined || !/^https?$/i.test(written) || slashes !== '//') {
      const reason = 'it must be a URL beginning with http:// or https://';
      const meant = written === undefined ? undefined : nearest(written, ['http', 'https']);
      throw new InvalidValue(reason, meant && maskUrl(`${meant}://${text.replace(/^[^:]*:\/*/, '')}`));
    }
    if (!URL.canParse(text)) {
      throw new InvalidValue('the URL is malformed; it reads scheme://host:port/path');
    }
    return text;
  },
};

/** Header fields in the order given; a name may come twice. */
export type Headers = ReadonlyArray<readonly [name: string, value: string]>;

/** Headers, one per line: `Name: value`. A refusal names the line and never repeats it: headers hold secrets. */
export const headers: Kind<Headers> = {
  type: 'headers',
  fromList: (items) => items.join('\n'),
  fromMap: (items) => items.map(([name, value]) => `${name}: ${value}`).join('\n'),
  parse: (text) => {
    const lines = text.split('\n').map((line) => line.trim());
    return lines.flatMap((line, index) => (line === '' ? [] : [parseHeader(line, index + 1)]));
  },
};

function parseHeader(line: string, number: number): readonly [string, string] {
  const [, name, value] = /^([^:]*):[ \t]*(.*)$/s.exec(line) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidValue(`line ${number} is not a header; each line reads Name: value`);
  }
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    throw new InvalidValue(`line ${number} has no legal header name: letters, digits and - before the colon`);
  }
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
    throw new InvalidValue(
      `line ${number} has a value that no header can hold: control or non-Latin characters`,
    );
  }
  return [name, value];
}

/** Statuses from `first` to `last`, both included. */
export interface StatusRange {
  readonly first: number;
  readonly last: number;
}

/** Statuses that mean yes: `2xx`, `200`, `200-204`, separated by white space or commas. */
export const statuses: Kind<readonly StatusRange[]> = {
  type: 'statuses',
  fromList: (items) => items.join(' '),
  parse: (text) =>
    text
      .split(/[\s,]+/)
      .filter((item) => item !== '')
      .map(parseStatuses),
};

function parseStatuses(item: string): StatusRange {
  const [, hundreds] = /^([1-5])xx$/.exec(item) ?? [];
  if (hundreds !== undefined) return { first: Number(hundreds) * 100, last: Number(hundreds) * 100 + 99 };
  const [, first, last = first] = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(item) ?? [];
  if (first === undefined || last === undefined || Number(last) < Number(first)) {
    const meant = /^[1-5]x{0,2}$/i.test(item) ? `${item.charAt(0)}xx` : undefined;
    throw new InvalidValue(`"${item}" is not a status; write 2xx, 200 or 200-204`, meant);
  }
  return { first: Number(first), last: Number(last) };
}

/** Whether a status is one of those that mean yes. */
export function includesStatus(ranges: readonly StatusRange[], status: number): boolean {
  return ranges.some(({ first, last }) => status >= first && status <= last);
}

/** Where the endpoints are served. A null host means every address of the machine. */
export type Listen = { readonly host: string | null; readonly port: number } | 'off';

/** `:9533`, `9533`, `127.0.0.1:9533`, `[::1]:9533`, or `off`. Port 0 takes a free one. */
export const listen: Kind<Listen> = {
  type: '`[host]:port` or `off`',
  parse: (text) => {
    if (text === 'off') return 'off';
    const [, v6, name, port] = /^(?:(?:\[([0-9a-f:.]+)\]|([\w.-]+))?:)?(\d{1,5})$/i.exec(text) ?? [];
    if (port === undefined) {
      throw new InvalidValue(
        'it must be :port, host:port, [IPv6]:port or off, such as :9533',
        meantListen(text),
      );
    }
    if (Number(port) > 65_535) throw new InvalidValue('a port is a number from 0 to 65535');
    return { host: v6 ?? name ?? null, port: Number(port) };
  },
  print: (value) => {
    if (value === 'off') return value;
    const host = value.host ?? '';
    return `${host.includes(':') ? `[${host}]` : host}:${value.port}`;
  },
};

function meantListen(text: string): string | undefined {
  if (/^(?:off|none|no|false|disabled)$/i.test(text)) return 'off';
  const meant = text.replace(/^https?:\/\/([^/]*)\/?$/, '$1').replace(/^\*:/, ':');
  const bracketed = meant.replace(/^([0-9a-f:]*::[0-9a-f]*):(\d{4,5})$/i, '[$1]:$2');
  return bracketed !== text && /:\d+$/.test(bracketed) ? bracketed : undefined;
}
