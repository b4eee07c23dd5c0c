// The digest of a short text.
import { hash } from 'node:crypto';

/** SHA-256 in 64 hexadecimal digits, in one call: a hash object costs more than a short text does. */
export function sha256(text: string): string {
  return hash('sha256', text, 'hex');
}
