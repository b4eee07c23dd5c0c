// The variables a template lacks besides the first: all mistakes are said at once.
import { LiquidError } from 'liquidjs';

/** A missing variable: in which file of the set, on which line. */
export interface Missing {
  readonly variable: string;
  readonly file: string | null;
  readonly line: number | null;
}

/** Finds the place of an error of the library. */
export type PlaceOf = (error: LiquidError) => Pick<Missing, 'file' | 'line'>;

/** How many are named; a template over other data than it was made for lacks nearly all. */
const MOST_NAMED = 20;

/** The missing variables among what a rendering that goes on after each error has thrown, each once, in order. */
export function missingIn(thrown: unknown, placeOf: PlaceOf): readonly Missing[] {
  if (!LiquidError.is(thrown)) return [];
  const { errors } = thrown as { readonly errors?: readonly unknown[] };
  if (errors !== undefined) return errors.flatMap((one) => missingIn(one, placeOf));
  const variable = variableOf(thrown);
  return variable === null ? [] : [{ variable, ...placeOf(thrown) }];
}

/** The name of the variable that an error of the library says is missing; null for any other error. */
export function variableOf(thrown: unknown): string | null {
  if (!LiquidError.is(thrown)) return null;
  const { originalError } = thrown;
  return 'variableName' in Object(originalError)
    ? String((originalError as unknown as { variableName: unknown }).variableName)
    : null;
}

/**
 * `; also missing: "db.port" (line 3), "x" (line 1 of "_part.liquid")`; empty where there is no other.
 * @param all what `missingIn` found, `first` among it.
 * @param texts the templates: what they assign themselves is missing only because something else is.
 */
export function alsoMissing(all: readonly Missing[], first: Missing, texts: Iterable<string | null>): string {
  const own = new Set([...texts].flatMap((text) => [...assignedIn(text ?? '')]));
  const others = new Map<string, string>();
  for (const { variable, file, line } of all) {
    const isOwn = own.has(variable.split('.', 1)[0] ?? '');
    if (variable === first.variable || isOwn || others.has(variable)) continue;
    const where = `line ${line ?? '?'}${file === first.file ? '' : ` of "${file ?? '?'}"`}`;
    others.set(variable, `"${variable}" (${where})`);
  }
  if (others.size === 0) return '';
  const named = [...others.values()].slice(0, MOST_NAMED).join(', ');
  const more = others.size > MOST_NAMED ? ` and ${others.size - MOST_NAMED} more` : '';
  return `; also missing: ${named}${more}`;
}

function assignedIn(text: string): readonly string[] {
  return [...text.matchAll(/\b(?:assign|capture|for|tablerow)\s+['"]?([\w-]+)/g)].map(
    ([, name = '']) => name,
  );
}
