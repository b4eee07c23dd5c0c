// Waits, or (with numbers as words) prints which of these processes are commands of this program.
import { createOwnCommandTest } from '../../../../src/application/process/own-command.ts';
import { processFolder, readRow } from '../../../../src/application/process/proc.ts';

const numbers = process.argv.slice(2).map(Number);
if (numbers.length === 0) setInterval(() => {}, 1_000_000);
else {
  const isOurs = createOwnCommandTest();
  const rows = numbers.map((pid) => readRow(processFolder(pid)));
  process.stdout.write(JSON.stringify(rows.map((row) => row !== null && isOurs(row))));
}
