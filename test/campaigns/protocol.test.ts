// Ten thousand generated sequences, where the unit tests run some hundreds.
import { it } from 'vitest';
import { liveThroughAnything, liveThroughHarmless } from '../support/reconcile/sequences.ts';

const LONGEST_MS = 3_600_000;

it('whatever happens, the loop ends at its goal', () => liveThroughAnything(6_500), LONGEST_MS);

it('only what really does not work is blocked', () => liveThroughHarmless(3_500), LONGEST_MS);
