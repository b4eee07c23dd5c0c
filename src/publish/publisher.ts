// Opens what publishes to an output; the two shapes are `file.ts` and `directory.ts`.

import type { Owner } from '../settings/types.ts';
import { directoryPublisher } from './directory.ts';
import { filePublisher } from './file.ts';
import type { Output, Publisher } from './place.ts';

export type { Output, Publisher, Staged, Volume } from './place.ts';

/** For callers that read without MAX_SIZE. */
const LARGEST_BYTES = 2 ** 29;

export function openPublisher(
  output: Output,
  owner: Owner | null,
  maxBytes: number = LARGEST_BYTES,
): Publisher {
  const options = { owner, maxBytes };
  return output.kind === 'file'
    ? filePublisher(output.path, options)
    : directoryPublisher(output.path, options);
}
