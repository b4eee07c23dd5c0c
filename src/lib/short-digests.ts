// Digests as people compare them.

/** Every digest in the text (at least 40 hexadecimal digits, with or without `sha256:`) cut to its first twelve digits. */
export function shortDigests(text: string): string {
  return text.replace(/\b(sha256:)?([0-9a-f]{12})[0-9a-f]{28,}\b/g, '$2');
}
