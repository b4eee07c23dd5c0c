// KUBERNETES_EVENTS beside a real API server: what the own pod gets, with the rights of the documentation and no others.
import { loadAll } from 'js-yaml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { blocksOf, page } from '../support/docs/pages.ts';
import { createPlace, type Place } from '../support/e2e/place.ts';
import type { Variables } from '../support/e2e/sidecar.ts';
import { until } from '../support/e2e/until.ts';
import { kubeconfig } from '../support/servers/kubeconfig.ts';
import { type RealKubernetes, startKubernetes } from '../support/servers/kubernetes.ts';

const CORE = '/api/v1/namespaces/default';
let server: RealKubernetes;
beforeAll(async () => {
  server = await startKubernetes();
});
afterAll(() => server.end());

/** The rules of the Role in the documentation. */
function rules(): readonly object[] {
  const text = blocksOf(page('docs/kubernetes.md')).find((one) =>
    one.text.includes('config-sidecar-events'),
  )?.text;
  return (loadAll(text ?? '') as { rules?: readonly object[] }[])[0]?.rules ?? [];
}

async function makePod(name: string): Promise<void> {
  const containers = [{ name: 'web', image: 'web' }];
  expect(
    (await server.ask('POST', `${CORE}/pods`, { metadata: { name }, spec: { containers } })).status,
  ).toBe(201);
}

async function variables(place: Place, pod: string, granted = rules()): Promise<Variables> {
  const token = await server.tokenFor(pod, granted);
  return {
    KUBERNETES_EVENTS: 'true',
    KUBECONFIG: place.write('kubeconfig', kubeconfig({ port: server.port, ca: server.ca, user: { token } })),
    POD_NAME: pod,
    SOURCE: place.write('source/app.json', '{"port":1}'),
    OUTPUT: place.at('out/app.json'),
    REQUIRED_KEYS: 'port',
    UPDATE_FREQUENCY: '200ms',
  };
}

interface Seen {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly involvedObject: { readonly uid: string };
}

/** The Events that `kubectl describe pod` shows, oldest first. */
async function eventsOf(pod: string): Promise<readonly Seen[]> {
  const { body } = await server.ask('GET', `${CORE}/events?fieldSelector=involvedObject.name%3D${pod}`);
  const { items } = body as { items: readonly (Seen & { metadata: { resourceVersion: string } })[] };
  return [...items].sort((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion));
}

async function conditionOf(pod: string) {
  const { body } = await server.ask('GET', `${CORE}/pods/${pod}`);
  const { metadata, status } = body as {
    metadata: { uid: string };
    status: { conditions?: readonly { type: string; status: string; reason: string; message: string }[] };
  };
  return { uid: metadata.uid, ...status.conditions?.find(({ type }) => type === 'ConfigConfirmed') };
}

test('one Event for each trouble, one when it is over, none for success; and a condition', async (context) => {
  const place = createPlace(context);
  place.directory('out');
  await makePod('story');
  const given = await variables(place, 'story');
  const sidecar = await place.start(given);
  const confirmed = (status: string) =>
    until(`the condition is ${status}`, async () => (await conditionOf('story')).status === status);
  await confirmed('True');
  expect(await eventsOf('story')).toEqual([]);
  place.write('source/app.json', '{"other":1}');
  await confirmed('False');
  const { message } = await sidecar.target();
  expect(await conditionOf('story')).toMatchObject({ reason: 'ConfigRejected', message });
  place.write('source/app.json', '{"other":2}');
  const rejections = async () =>
    (await sidecar.target()).history.filter(({ outcome }) => outcome === 'rejected');
  await until('it was rejected again', async () => (await rejections()).length === 2);
  // A process that restarts finds the same trouble, and does not say it a second time.
  await sidecar.end();
  place.write('source/app.json', '{"other":1}');
  const next = await place.start(given);
  await next.outcome('rejected');
  place.write('source/app.json', '{"port":2}');
  await confirmed('True');
  const { uid } = await conditionOf('story');
  const events = await eventsOf('story');
  expect(events.map(({ type, reason }) => `${type} ${reason}`)).toEqual([
    'Warning ConfigRejected',
    'Normal ConfigRecovered',
  ]);
  expect(events[0]).toMatchObject({ message, involvedObject: { uid } });
});

test('a right that is missing is logged once, named, and holds nothing up', async (context) => {
  const place = createPlace(context);
  place.directory('out');
  await makePod('poor');
  const sidecar = await place.start(await variables(place, 'poor', rules().slice(0, 1)));
  await sidecar.outcome('applied');
  await until('the log says so', () => sidecar.logs('events not sent').length > 0);
  expect(sidecar.logs('events not sent')).toMatchObject([
    {
      level: 'warn',
      code: 'events.denied',
      message:
        'Cannot report to the pod "poor" in namespace "default": the service account may not patch pods/status (403). Give it a Role with that right.',
    },
  ]);
  place.write('source/app.json', '{"port":3}');
  await until('it goes on', () => place.read('out/app.json').includes('3'));
  expect((await sidecar.end()).code).toBe(0);
});

test('an API server that is unreachable gets the events later', async (context) => {
  const place = createPlace(context);
  place.directory('out');
  await makePod('later');
  const given = await variables(place, 'later');
  await server.stop('SIGKILL');
  place.write('source/app.json', '{"other":1}');
  const sidecar = await place.start(given);
  await sidecar.outcome('rejected');
  await until('the log says so', () => sidecar.logs('events not sent').length > 0);
  await server.start();
  await until('it was notified', async () => (await conditionOf('later')).reason === 'ConfigRejected');
  expect((await eventsOf('later')).map(({ reason }) => reason)).toEqual(['ConfigRejected']);
});
