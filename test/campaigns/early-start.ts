// `npm run early-start -- --runs 1000`: applications that are notified of a change while they start. Prints the result for
// them by language, and ends with 1 when one died or did not end with the new configuration.
import { parseArgs } from 'node:util';
import { LANGUAGES, type Language } from '../support/application/process/early-apps.ts';
import { type Run, runCampaign } from '../support/application/process/early-campaign.ts';
import { prepare } from '../support/servers/prepare.ts';

const { values } = parseArgs({
  options: {
    /** In all languages together. */
    runs: { type: 'string', default: '1000' },
    slots: { type: 'string', default: '16' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    languages: { type: 'string', default: 'c,go,node,python,shell' },
  },
});

const languages = values.languages
  .split(',')
  .filter((each): each is Language => LANGUAGES.some((one) => one === each));
const seed = Number(values.seed);
await prepare(['campaigns']);
let count = 0;
const startedAt = performance.now();
const runs = await runCampaign({
  runs: Math.ceil(Number(values.runs) / languages.length),
  languages,
  slots: Number(values.slots),
  seed,
  onRun: (run) => {
    count += 1;
    if (run.end !== 'new configuration') console.log(describe(run));
    if (count % 50 === 0) console.log(`${count} runs`);
  },
});
console.log(`seed ${seed}, ${runs.length} runs in ${Math.round((performance.now() - startedAt) / 1000)} s`);
console.table(
  Object.fromEntries(
    languages.map((each) => [each, summarize(runs.filter(({ start }) => start.language === each))]),
  ),
);
process.exitCode = runs.length > 0 && runs.every(({ end }) => end === 'new configuration') ? 0 : 1;

function summarize(some: readonly Run[]) {
  const times = some.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const at = (share: number): number => Math.round(times[Math.floor(times.length * share)] ?? Number.NaN);
  const count = (test: (run: Run) => boolean): number => some.filter(test).length;
  return {
    runs: some.length,
    deaths: count(({ end }) => end === 'died'),
    misses: count(({ end }) => end === 'missed'),
    'read it at start': count(({ end, told }) => end === 'new configuration' && told === 0),
    'notified once': count(({ told }) => told === 1),
    'told more often': count(({ told }) => told > 1),
    'median ms': at(0.5),
    'longest ms': at(0.999),
  };
}

function describe({ start, changeAfterMs, end, story }: Run): string {
  return `${end}: ${start.language}, ${start.kind}, change after ${changeAfterMs} ms: ${story}`;
}
