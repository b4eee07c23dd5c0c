// A neighbour that may write on the volume races with the publisher, long enough to hit small holes.
import { testRaces } from '../support/publish/races.ts';

testRaces(Number(process.env['RACE_MS'] ?? 20_000));
