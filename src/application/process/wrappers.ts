// Remembers which processes only stand above the application: while that is being restarted, they are all there is.
import type { ProcessRow } from './proc.ts';

/** More would be a defect, or an attack. */
const MOST = 64;

export interface WrapperMemory {
  readonly add: (row: ProcessRow, words: readonly string[]) => void;
  /** False again once it has become another program in the same process (`exec` at the end of a start script). */
  readonly has: (row: ProcessRow, words: readonly string[]) => boolean;
}

export function createWrapperMemory(): WrapperMemory {
  const known = new Map<string, string>();
  const keyOf = ({ pid, startTicks }: ProcessRow): string => `${pid} ${startTicks}`;
  const faceOf = ({ comm }: ProcessRow, words: readonly string[]): string => `${comm} ${words[0] ?? ''}`;
  return {
    add: (row, words) => {
      const [oldest] = known.keys();
      if (known.size >= MOST && oldest !== undefined) known.delete(oldest);
      known.set(keyOf(row), faceOf(row, words));
    },
    has: (row, words) => known.get(keyOf(row)) === faceOf(row, words),
  };
}
