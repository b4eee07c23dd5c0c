// Searches many command lines again and again, and prints how many were taken for too slow, and how often the last was found.
import { createSearches } from '../../../../src/application/process/search.ts';

const start = createSearches(/nginx: master/);
const lines = Array.from(
  { length: 20_000 },
  (_, index) => `/usr/bin/program --number=${index} ${'x'.repeat(200)}`,
);
let slow = 0;
let found = 0;
process.stdout.write('searching');
for (let round = 0; round < 15; round += 1) {
  const search = start();
  search.prepare([...lines, 'nginx: master process']);
  found += search.test('nginx: master process') ? 1 : 0;
  slow += search.countSlow();
}
process.stdout.write(`, slow: ${slow}, found: ${found}\n`);
