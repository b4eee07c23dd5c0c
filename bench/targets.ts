// What further targets cost: memory at rest, and the time of a change of the first one, with 1 and with 20 in one process.
import * as fs from 'node:fs';
import { join } from 'node:path';
import {
  type Application,
  measureChange,
  memoryOf,
  quantile,
  root,
  row,
  type Store,
  sleep,
  startApplication,
  startSidecar,
  until,
} from './stage.ts';

const COUNTS = [1, 20];
const CHANGES = 100;
const WARM_UP = 10;
const APART_MS = 60;
/** After the last publication of a start. */
const SETTLE_MS = 5_000;

interface Subject {
  readonly targets: number;
  readonly app: Application;
  readonly key: string;
  readonly pid: number;
}

/** Prints a row for each number of targets; changes are interleaved. */
export async function benchTargets(store: Store): Promise<void> {
  const subjects: Subject[] = [];
  for (const targets of COUNTS) subjects.push(await begin(store, targets));
  await sleep(SETTLE_MS);
  row('targets', 'RSS MiB', 'anonymous', 'p50 ms', 'p99 ms');
  const memory = subjects.map(({ pid }) => memoryOf(pid));
  const took = subjects.map((): number[] => []);
  for (let change = -WARM_UP; change < CHANGES; change += 1) {
    for (const [at, { app, key }] of subjects.entries()) {
      const ms = await measureChange(store, key, { app, value: `v${change}` });
      if (change >= 0) took[at]?.push(ms);
      await sleep(APART_MS);
    }
  }
  for (const [at, { targets }] of subjects.entries()) {
    const [{ rss, anonymous } = { rss: 0, anonymous: 0 }, times = []] = [memory[at], took[at]];
    row(String(targets), rss, anonymous, quantile(times, 0.5), quantile(times, 0.99));
  }
}

/** The first target follows a key of the store and has an application; the others follow a file each. */
async function begin(store: Store, targets: number): Promise<Subject> {
  const app = await startApplication();
  const key = `bench/targets-${app.pid}`;
  await store.put(key, 'start');
  const folder = fs.mkdtempSync(join(root, 'targets-'));
  const others = Array.from({ length: targets - 1 }, (_, at) => {
    fs.writeFileSync(join(folder, `${at}.json`), '{"value":1}');
    fs.mkdirSync(join(folder, `${at}`));
    return [
      `other${at}`,
      { config_file: join(folder, `${at}.json`), output: join(folder, `${at}/app.json`) },
    ] as const;
  });
  const first = { source: store.source(key), output: app.file, app_process: `/${app.title}/` };
  const defaults = { debounce: '0s', reload_min_interval: '0s', confirm_period: '0s' };
  const settings = { defaults, targets: { first, ...Object.fromEntries(others) } };
  const file = join(folder, 'settings.json');
  fs.writeFileSync(file, JSON.stringify(settings));
  const { pid = 0 } = startSidecar({ SETTINGS_FILE: file });
  await until('the first value', () => app.seen.at(-1)?.value === 'start');
  return { targets, app, key, pid };
}
