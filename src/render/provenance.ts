// Which source each key came from, in words, for the commands that a person reads.
import type { Data } from './data.ts';
import { showPath } from './document/format-error.ts';
import { leavesOf } from './document/value.ts';

/** More keys of one source than this are counted and not named. */
const MAX_NAMED = 20;

/** A line for each source: `"tls=/certs/": tls/tls.crt, tls/tls.key`. Empty when there is only one source. */
export async function keysBySource(data: Data): Promise<readonly string[]> {
  const { origins } = data;
  if (origins === undefined) return [];
  const keys = new Map<string, string[]>();
  for (const { path } of leavesOf(await data.value(), { lists: false })) {
    for (const source of await origins(path)) {
      const names = keys.get(source);
      if (names === undefined) keys.set(source, [showPath(path)]);
      else names.push(showPath(path));
    }
  }
  return [...keys].map(([source, names]) => `"${source}": ${listed(names)}`);
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMED;
  return more > 0 ? `${names.slice(0, MAX_NAMED).join(', ')} and ${more} more` : names.join(', ');
}
