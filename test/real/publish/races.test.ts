// A neighbour that may write on the volume races with the publisher, for a while; `npm run campaigns` lets it race longer.
import { testRaces } from '../../support/publish/races.ts';

testRaces(2_000);
