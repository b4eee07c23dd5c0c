// An application that is notified over HTTP and refuses what it does not like, and the rollback that follows.
import { type HttpSource, respond, startHttpSource } from '../servers/http-source.ts';
import { type FileJob, publishedValue } from './backing.ts';
import type { Place } from './place.ts';
import type { Sidecar, TargetSeen, Variables } from './sidecar.ts';
import { until } from './until.ts';

/** An HTTP hook of an application that refuses what it does not like, and keeps what it read when it was notified. */
export interface Picky {
  readonly variables: Variables;
  /** The values on the volume at each request. */
  readonly told: readonly unknown[];
  /** Which values it refuses; at first those that begin with "bad". */
  refuses: (value: unknown) => boolean;
  readonly server: HttpSource;
}

/** Starts one. */
export async function pickyHook(place: Place): Promise<Picky> {
  const server = await startHttpSource();
  const told: unknown[] = [];
  const picky: Picky = {
    variables: { RELOAD_URL: `${server.origin}/reload` },
    told,
    refuses: (value) => String(value).startsWith('bad'),
    server,
  };
  server.answer((_request, response) => {
    const value = publishedValue(place.read('out/app.json'));
    told.push(value);
    const no = picky.refuses(value);
    respond(response, no ? 500 : 200, no ? `line 7: "${value}" is no upstream` : '');
  });
  return picky;
}

/** The value on the volume. */
export function shown(place: Place): unknown {
  return publishedValue(place.read('out/app.json'));
}

/** Waits until this is the outcome, the value is on the volume, and nothing is owed. */
export async function isOutcome(
  sidecar: Sidecar,
  outcome: string,
  value: unknown,
  place: Place,
): Promise<TargetSeen> {
  return until(`${value} is ${outcome}`, async () => {
    // First, so that what is asked for is not older than what is seen.
    const isShown = shown(place) === value;
    const seen = await sidecar.target();
    if (seen.outcome !== outcome) throw new Error(`it is ${seen.outcome}: ${seen.message}`);
    return isShown && !seen.reloadOwed && seen;
  });
}

/** One good value applied, then one that is refused. */
export async function goesBack(place: Place, job: FileJob, variables: Variables): Promise<Sidecar> {
  const sidecar = await place.start(variables);
  await isOutcome(sidecar, 'applied', 'one', place);
  job.set('bad');
  await isOutcome(sidecar, 'rolled-back', 'one', place);
  return sidecar;
}
