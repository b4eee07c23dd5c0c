// The program in a build of the tests' own, which ends as by `kill -9` at a named point: `FAULT=point:n` in the environment is
// the n-th passing. With `FAULT_ARMED=path` only passings while that file is there count.
import { existsSync } from 'node:fs';
import { type FaultPoint, onFaultPoint } from '../../../src/lib/fault-point.ts';

const [point, nth = '1'] = (process.env['FAULT'] ?? '').split(':');
const armed = process.env['FAULT_ARMED'];
let passed = 0;

onFaultPoint((reached: FaultPoint) => {
  if (reached !== point || (armed !== undefined && !existsSync(armed))) return;
  passed += 1;
  if (passed === Number(nth)) process.kill(process.pid, 'SIGKILL');
});

await import('../../../src/main.ts');
