// Templates that are rendered once for each entry of a map in the data: `{vhosts}.conf.liquid`.

import { shownKey } from '../../lib/bounds.ts';
import { SidecarError } from '../../lib/errors.ts';
import { isMap, type Value } from '../document/value.ts';

/** One entry, as such a template sees it under the name `entry`. */
export interface TemplateEntry {
  readonly key: string;
  readonly value: Value;
}

/** A name with one `{name}` in it. */
const PLACE = /\{([^{}/]+)\}/;

/** What is listed by the name of a template, or of the file it makes; null when it makes one file only. */
export function listedIn(name: string): string | null {
  return PLACE.exec(name)?.[1] ?? null;
}

/** The name of the file of an entry. @throws SidecarError `render.name` when its key cannot be a part of a file name. */
export function nameForEntry(name: string, key: string): string {
  if (key === '' || key === '.' || key === '..' || /[/\0]/.test(key)) {
    const reason = key === '' ? 'an entry has an empty key' : `the key "${shownKey(key)}" is no file name`;
    throw refuse('render.name', `Cannot make a file of each entry by "${name}": ${reason}; rename the key`);
  }
  return name.replace(PLACE, () => key);
}

/**
 * The entries a template is rendered for, in the order of their keys in the data. A name with dots leads into maps.
 * @throws SidecarError `render.template` when there is no such map.
 */
export function entriesFor(template: string, listed: string, data: Value): readonly TemplateEntry[] {
  let at: Value | undefined = data;
  for (const name of isMap(data) && Object.hasOwn(data, listed) ? [listed] : listed.split('.'))
    at = isMap(at) && Object.hasOwn(at, name) ? at[name] : undefined;
  if (isMap(at)) return Object.entries(at).map(([key, value]) => ({ key, value }));
  const reason =
    at === undefined
      ? `the variable "${listed}" is missing; add the key, or give the template another name`
      : `"${listed}" is no map, so its entries have no names`;
  throw refuse('render.template', `Cannot render template "${template}": ${reason}`);
}

function refuse(code: string, message: string): SidecarError {
  return new SidecarError(message, { code, stage: 'render' });
}
