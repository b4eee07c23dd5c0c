// Looks four times a second, as while an application is missing, and prints what that costs. Words: the expression, how many
// seconds, and after how many it begins to count.
import { createLookup } from '../../../../src/application/process/lookup.ts';
import { loadPattern } from '../../../../src/lib/linear-regexp.ts';

const [, , pattern = '', seconds = '10', warmUp = '3'] = process.argv;
const lookup = createLookup({ pattern: await loadPattern(pattern), signal: 'SIGHUP', gateOff: false });
const startedAt = performance.now();
let before = process.cpuUsage();
let [looks, kind, countedFrom] = [0, '', 0];

const timer = setInterval(() => {
  kind = lookup.look(performance.now()).kind;
  looks += 1;
  if (countedFrom === 0 && performance.now() - startedAt > Number(warmUp) * 1000)
    [before, countedFrom] = [process.cpuUsage(), performance.now()];
  if (performance.now() - startedAt < (Number(seconds) + Number(warmUp)) * 1000) return;
  clearInterval(timer);
  const { user, system } = process.cpuUsage(before);
  const share = (user + system) / 1000 / (performance.now() - countedFrom);
  process.stdout.write(JSON.stringify({ kind, looks, share, rss: process.memoryUsage().rss }));
}, 250);
