// What a look for the application's process finds.
import type { BootStamp, ProcessId } from '../../ledger/types.ts';
import type { SignalReadiness } from './readiness.ts';

/** What is known of the application's process at one moment. `reason` is a clause, for `Cannot …: <reason>`. */
export type LookedUp =
  | { readonly kind: 'none'; readonly reason: string }
  | { readonly kind: 'ambiguous'; readonly pids: readonly number[]; readonly reason: string }
  | {
      readonly kind: 'found';
      readonly id: ProcessId;
      /** `4711 (nginx)`. */
      readonly name: string;
      readonly readiness: SignalReadiness;
      /** When it was looked for, on the boot clock. */
      readonly seenAt: BootStamp;
    };

/**
 * Finds one application, again and again. It remembers the last name and signal masks of that process, to see them change, and
 * for a moment which processes are certainly not meant.
 */
export interface Lookup {
  /** Looks now. `nowMs` is any clock that does not jump; it is compared with earlier looks only. Never throws. */
  look(nowMs: number): LookedUp;
}
