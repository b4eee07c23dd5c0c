// Logs lines until its time is over, and says on standard error that it lived until then.
import { createLog } from '../../src/lib/log.ts';

const { lines, isPrettyAsked } = JSON.parse(process.argv[2] ?? '') as {
  readonly lines: number;
  readonly isPrettyAsked: boolean;
};
const log = createLog({ level: 'info', format: isPrettyAsked ? 'pretty' : 'json' });
for (let i = 0; i < lines; i += 1) log.info('line', { number: i, filler: 'x'.repeat(200) });
process.stderr.write('alive\n');
