// A job whose source can be taken away while what it left behind is looked at.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { type HttpSource, servesDocument, startHttpSource } from '../servers/http-source.ts';
import { publishedValue } from './backing.ts';
import type { Place } from './place.ts';
import type { Sidecar, Variables } from './sidecar.ts';
import { until } from './until.ts';

/** A job whose source can be taken away, with a state directory of its own and a hook that writes down what it finds. */
export interface Job {
  readonly variables: Variables;
  readonly set: (value: string) => void;
  readonly shown: () => unknown;
  /** The values on the volume whenever the application was notified. */
  readonly told: () => readonly unknown[];
  /** Below the directory of the place. */
  readonly state: string;
  /** Takes the source away, as a store that is down. */
  readonly sourceEnds: () => Promise<void>;
}

/** Its value is "one" at first. */
export async function createJob(place: Place): Promise<Job> {
  const source = await startHttpSource();
  const config = place.at('out/app.json');
  place.directory('out');
  place.directory('state');
  const hook = place.write('hook.sh', `cat ${config} >> ${place.at('told')}; ! grep -q bad ${config}\n`);
  const set = (value: string): void =>
    source.answer(servesDocument(() => ({ etag: `"${value}"`, body: `{"value":"${value}"}\n` })));
  set('one');
  return {
    variables: {
      SOURCE: `${source.origin}/app.json`,
      UPDATE_FREQUENCY: '200ms',
      FETCH_TIMEOUT: '2s',
      OUTPUT: config,
      STATE_DIR: place.at('state'),
      RELOAD_COMMAND: `sh ${hook}`,
      RELOAD_MIN_INTERVAL: '100ms',
    },
    set,
    shown: () => (existsSync(config) ? publishedValue(readFileSync(config, 'utf8')) : null),
    told: () => (existsSync(place.at('told')) ? linesOf(place.read('told')).map(publishedValue) : []),
    state: 'state/app.json',
    sourceEnds: () => endSource(source),
  };
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '');
}

function endSource(source: HttpSource): Promise<void> {
  source.cut();
  return source.stop();
}

/** Makes each of the values known to work, one after the other. */
export async function applyAll(job: Job, sidecar: Sidecar, values: readonly string[]): Promise<void> {
  for (const value of values) {
    job.set(value);
    await until(`"${value}" is known to work`, async () => {
      const { generations, reloadOwed } = await sidecar.target();
      const good = generations.find(({ lastKnownGood }) => lastKnownGood);
      return good?.revision === `"${value}"` && good.onVolume && !reloadOwed;
    });
  }
}

/** A volume for a new pod: the output is empty, the state directory is as it was. */
export function emptyVolume(place: Place): void {
  rmSync(place.at('out'), { recursive: true });
  place.directory('out');
}

/** Applies the values and ends, in an orderly way. */
export async function applyAndEnd(place: Place, job: Job, values: readonly string[]): Promise<void> {
  const sidecar = await place.start(job.variables);
  await applyAll(job, sidecar, values);
  await sidecar.end();
}

/** The copies in the state directory, oldest first. */
export function copiesIn(place: Place, { state }: Job): readonly string[] {
  return readdirSync(place.at(`${state}/generations`)).sort(
    (a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10),
  );
}
