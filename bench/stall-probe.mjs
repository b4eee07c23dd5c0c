// Runs inside the sidecar (`node --import`): the longest time its event loop stood still, and how much of that it spent
// computing itself; the rest was taken by other processes. The parent resets and reads it over its channel.
import { openSync, readSync } from 'node:fs';

const buffer = Buffer.alloc(128);
const schedule = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
let before = { wall: performance.now(), cpu: onProcessor() };
let longest = { wallMs: 0, cpuMs: 0 };

/** Milliseconds this thread has been on a processor; the kernel counts them at every tick and at every switch. */
function onProcessor() {
  const length = readSync(schedule, buffer, 0, buffer.length, 0);
  return Number(buffer.toString('latin1', 0, length).split(' ', 1)[0]) / 1e6;
}

function tick() {
  const now = { wall: performance.now(), cpu: onProcessor() };
  longest = {
    wallMs: Math.max(longest.wallMs, now.wall - before.wall),
    cpuMs: Math.max(longest.cpuMs, now.cpu - before.cpu),
  };
  before = now;
}

setInterval(tick, 1).unref();
process.on('message', (word) => {
  if (word === 'report') process.send(longest);
  longest = { wallMs: 0, cpuMs: 0 };
});
process.channel.unref();
