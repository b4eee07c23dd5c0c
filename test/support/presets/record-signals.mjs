// Loaded before the sidecar: notes every signal it sends, with the number it goes to.
import { appendFileSync } from 'node:fs';

const record = process.env.SIGNAL_RECORD;
const kill = process.kill.bind(process);

process.kill = (pid, signal) => {
  if (signal !== 0) appendFileSync(record, `${signal} ${pid}\n`);
  return kill(pid, signal);
};
