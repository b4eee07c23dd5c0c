// Writes to a state directory as a sidecar does that holds it, for one write.

import { CopyFolder } from '../../../src/ledger/kept-generations.ts';
import type { KeptGeneration, Ledger } from '../../../src/ledger/ledger.ts';
import { type LedgerWrite, writeLedger } from '../../../src/ledger/ledger-file.ts';
import { LedgerSlots } from '../../../src/ledger/ledger-slots.ts';
import type { Release } from '../../../src/render/release.ts';

/** See `writeLedger`. */
export function writeLedgerOnce(directory: string, ledger: Ledger, how: Omit<LedgerWrite, 'slots'>): number {
  const slots = new LedgerSlots();
  try {
    return writeLedger(directory, ledger, { ...how, slots });
  } finally {
    slots.release();
  }
}

/** See `CopyFolder.keep`. */
export async function keepGeneration(
  directory: string,
  kept: KeptGeneration,
  release: Release,
): Promise<void> {
  const copies = new CopyFolder(() => directory);
  try {
    await copies.keep(kept, release, 2 ** 29);
  } finally {
    copies.release();
  }
}
