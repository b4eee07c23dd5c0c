// Logs lines, says on standard error that it still runs, waits for the end of its input where asked to, and ends.
import { createLog, droppedLines, flushLog } from '../../src/lib/log.ts';

interface Order {
  readonly lines: number;
  readonly isPrettyAsked: boolean;
  readonly waitsForInput?: boolean;
}

const { lines, isPrettyAsked, waitsForInput = false } = JSON.parse(process.argv[2] ?? '') as Order;
const log = createLog({ level: 'info', format: isPrettyAsked ? 'pretty' : 'json' });
for (let i = 0; i < lines; i += 1) log.info('line', { number: i, filler: 'x'.repeat(200) });
process.stderr.write('alive\n');
if (waitsForInput) for await (const _ of process.stdin);
await flushLog(10_000);
log.info('end', { dropped: droppedLines() });
await flushLog(10_000);
process.exit(0);
