// Documents in which every text is text: only `html` makes a piece of markup, so nothing gets there unescaped. Digests are cut.
import { shortDigests } from '../lib/short-digests.ts';

/** A piece of a document. */
export interface Html {
  readonly html: string;
}

/** What can stand in a piece: text is escaped. */
export type HtmlPart = string | number | Html | readonly Html[];

/** A piece with its parts put in. */
export function html(texts: TemplateStringsArray, ...parts: readonly HtmlPart[]): Html {
  return { html: texts.map((text, i) => text + piece(parts[i])).join('') };
}

function piece(part: HtmlPart | undefined): string {
  if (part === undefined) return '';
  if (typeof part === 'string' || typeof part === 'number') return escaped(shortDigests(String(part)));
  return 'html' in part ? part.html : part.map((one) => one.html).join('');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '');
}
