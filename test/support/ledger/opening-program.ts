// Opens a state directory and releases it, and prints the result.
import { openStateDirectory } from '../../../src/ledger/state-directory.ts';
import { toSidecarError } from '../../../src/lib/errors.ts';
import type { Output } from '../../../src/publish/publisher.ts';

export interface OpeningOutcome {
  /** null when it was opened. */
  readonly code: string | null;
  readonly message: string;
}

const { path, output } = JSON.parse(process.argv[2] ?? '') as {
  readonly path: string;
  readonly output: Output;
};
let outcome: OpeningOutcome = { code: null, message: '' };
try {
  (await openStateDirectory(path, output, 'the program')).release();
} catch (thrown) {
  const { code, message } = toSidecarError(thrown);
  outcome = { code, message };
}
process.stdout.write(JSON.stringify(outcome));
