// The application of the benchmark: on SIGHUP it reads its file and reports when it had read what.
import { readFileSync, writeSync } from 'node:fs';

const [, , file, title] = process.argv;
process.title = title;
process.on('SIGHUP', () => {
  const value = readFileSync(file, 'utf8').trim();
  writeSync(1, `${process.hrtime.bigint()} ${value}\n`);
});
setInterval(() => {}, 1 << 30);
writeSync(1, 'ready\n');
