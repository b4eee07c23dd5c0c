// Looks once for a process that does not exist, and prints why none was found. Words: the look-up's options as JSON.
import { createLookup } from '../../../../src/application/process/lookup.ts';

const options = JSON.parse(process.argv[2] ?? '{}');
const fact = createLookup({ signal: null, gateOff: false, ...options }).look(0);
process.stdout.write(JSON.stringify(fact));
