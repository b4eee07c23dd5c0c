// Processor time: what one change costs the sidecar with few and with many unrelated processes in sight, and what rest costs.
import {
  measureChange,
  NOW,
  processorMsOf,
  type Store,
  sleep,
  start,
  startApplication,
  startFloor,
  startSidecar,
  until,
} from './stage.ts';

const WARM_UP = 30;
/** After many changes the engine collects what they left behind: that is over by then. */
const AFTERMATH_MS = 35_000;
/** As many processes that are not meant as a full host shows; each with a command line of its own. */
const MANY = 300;

export interface ProcessorTime {
  /** Processes that have nothing to do with the application. */
  readonly others: number;
  /** Milliseconds of all threads for one change. */
  readonly changeMs: number;
  /** The same of the floor, which looks at no process. */
  readonly floorMs: number;
  /** Milliseconds in the `AFTERMATH_MS` behind all changes. */
  readonly afterMs: number;
  /** Share of one core in percent while nothing changes, under default settings. */
  readonly restPercent: number;
}

export interface MeasureProcessor {
  readonly changes: number;
  readonly apartMs: number;
  readonly restMs: number;
}

/** Measures it beside what runs already, and then beside `MANY` more. */
export async function measureProcessor(
  store: Store,
  options: MeasureProcessor,
): Promise<readonly ProcessorTime[]> {
  const few = await measure(store, 0, options);
  const others = Array.from({ length: MANY }, (_, at) => start(['sleep', String(100_000 + at)]));
  try {
    await sleep(2_000);
    return [few, await measure(store, MANY, options)];
  } finally {
    for (const other of others) other.kill();
  }
}

async function measure(store: Store, others: number, options: MeasureProcessor): Promise<ProcessorTime> {
  const { changes, apartMs, restMs } = options;
  const [ours, bare] = [await startApplication(), await startApplication()];
  const [key, bareKey] = [`bench/cpu-${ours.pid}`, `bench/cpu-bare-${bare.pid}`];
  await store.put(key, 'start');
  await store.put(bareKey, 'start');
  const settings = { SOURCE: store.source(key), OUTPUT: ours.file, APP_PROCESS: `/${ours.title}/` };
  const sidecar = startSidecar({ ...settings, ...NOW });
  const floor = startFloor(store, bareKey, bare);
  await until('the first reload', () => ours.seen.length > 0);
  await sleep(2_000);
  const spentOf = (process: { readonly pid?: number | undefined }): number => processorMsOf(process.pid ?? 0);
  let before = [0, 0];
  for (let i = 0; i < WARM_UP + changes; i += 1) {
    if (i === WARM_UP) before = [spentOf(sidecar), spentOf(floor)];
    for (const [key_, app] of [
      [key, ours],
      [bareKey, bare],
    ] as const) {
      await sleep(apartMs);
      await measureChange(store, key_, { app, value: `v${i}` });
    }
  }
  await sleep(apartMs);
  const [oursMs = 0, floorMs = 0] = [spentOf(sidecar), spentOf(floor)].map(
    (ms, i) => (ms - (before[i] ?? 0)) / changes,
  );
  const changesOver = spentOf(sidecar);
  await sleep(AFTERMATH_MS);
  const restBefore = spentOf(sidecar);
  await sleep(restMs);
  const restPercent = ((spentOf(sidecar) - restBefore) / restMs) * 100;
  sidecar.kill();
  return { others, changeMs: oursMs, floorMs, afterMs: restBefore - changesOver, restPercent };
}
