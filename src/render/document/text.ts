// Bytes and text: UTF-8, strictly.
import { Buffer, isUtf8 } from 'node:buffer';

/** The text of UTF-8 bytes, without a byte order mark; null when they are not UTF-8. */
export function decodeText(bytes: Uint8Array): string | null {
  if (!isUtf8(bytes)) return null;
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = buffer.toString('utf8');
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** Never from the pool of small buffers: the bytes may be handed over to a thread. */
export function encodeWhole(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function encodeText(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

/** The bytes without a byte order mark: strict readers refuse a file that begins with one. Bytes that are not text stay. */
export function withoutMark(bytes: Uint8Array): Uint8Array {
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return hasMark && isUtf8(bytes) ? bytes.subarray(3) : bytes;
}
