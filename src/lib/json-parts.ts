// How many values a JSON text may make, counted before it is parsed: a value of two bytes costs fifty in memory.
import { Buffer } from 'node:buffer';

const [QUOTE, BACKSLASH, COMMA, BRACE, BRACKET] = [0x22, 0x5c, 0x2c, 0x7b, 0x5b];

/** At least as many as there are values: separators, maps and lists outside of texts. What is no JSON is counted somehow. */
export function countJsonParts(bytes: Uint8Array): number {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let parts = 1;
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at];
    if (byte === QUOTE) at = endOfString(text, at);
    else if (byte === COMMA || byte === BRACE || byte === BRACKET) parts += 1;
  }
  return parts;
}

/** Where the quote stands that ends the string; the end of the text when there is none. */
function endOfString(text: Buffer, start: number): number {
  for (let quote = text.indexOf(QUOTE, start + 1); quote !== -1; quote = text.indexOf(QUOTE, quote + 1)) {
    let escapes = quote;
    while (escapes - 1 > start && text[escapes - 1] === BACKSLASH) escapes -= 1;
    if ((quote - escapes) % 2 === 0) return quote;
  }
  return text.length;
}
