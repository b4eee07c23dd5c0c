// The pages that people read: the README, everything in `docs/`, and the project's other pages.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface Page {
  /** Relative to the project's folder. */
  readonly path: string;
  readonly text: string;
}

/** README.md and the pages of `docs/`. */
export const PAGES: readonly Page[] = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .sort()
    .map((name) => `docs/${name}`),
].map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

export function page(path: string): Page {
  const found = PAGES.find((one) => one.path === path);
  if (found === undefined) throw new Error(`There is no page ${path}.`);
  return found;
}

export interface Block {
  readonly language: string;
  readonly text: string;
  /** What the page says it prints: the `text` block that follows directly. */
  readonly prints: string | null;
}

/** The code blocks of a page, in order. */
export function blocksOf({ text }: Page): readonly Block[] {
  const found = text.matchAll(/^```(\w*)\n([\s\S]*?)^```$(?=(?:\n\n```text\n([\s\S]*?)^```$)?)/gm);
  return [...found].map(([, language = '', block = '', prints = null]) => ({
    language,
    text: block,
    prints,
  }));
}
