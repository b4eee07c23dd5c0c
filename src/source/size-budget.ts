// How much one snapshot may hold: bytes of names and values, and keys, since each key costs memory whatever its length.

/** What is wrong, as the end of a sentence: `it holds at least 20 bytes, MAX_SIZE allows 10`. */
export type SizeProblem = string;

/** One key for so many bytes of MAX_SIZE, but at least `LEAST_KEYS`. */
const BYTES_PER_KEY = 128;
const LEAST_KEYS = 1_000;

/** How many keys a snapshot of at most this many bytes may have: 131,072 for 16 MiB. */
function keysAllowed(maxBytes: number): number {
  return Math.max(LEAST_KEYS, Math.floor(maxBytes / BYTES_PER_KEY));
}

/** What is beyond the bounds, or null. `bytes` counts names and values. */
export function sizeProblem(keys: number, bytes: number, maxBytes: number): SizeProblem | null {
  if (bytes > maxBytes) return `it holds at least ${bytes} bytes, MAX_SIZE allows ${maxBytes}`;
  const allowed = keysAllowed(maxBytes);
  return keys > allowed
    ? `it holds at least ${keys} keys, MAX_SIZE "${maxBytes}" allows ${allowed} (one for ${BYTES_PER_KEY} bytes)`
    : null;
}
