// The main job, end to end: what is changed in a source is read by the application when it is notified, whatever the
// source, the shape of the output and the hook.
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Backing,
  consulTree,
  etcdTree,
  fileDocument,
  fileTree,
  httpDocument,
} from '../../support/e2e/backing.ts';
import { createPlace, type Place } from '../../support/e2e/place.ts';
import type { Variables } from '../../support/e2e/sidecar.ts';
import { until } from '../../support/e2e/until.ts';
import { type ConsulServer, startConsul } from '../../support/servers/consul.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';
import { respond, startHttpSource } from '../../support/servers/http-source.ts';

let etcd: EtcdServer;
let consul: ConsulServer;

beforeAll(async () => {
  [etcd, consul] = await Promise.all([startEtcd(), startConsul()]);
});

afterAll(async () => {
  await Promise.all([etcd?.end(), consul?.end()]);
});

type Sources = Readonly<Record<string, (place: Place, shape: Shape) => Promise<Backing>>>;

const SOURCES: Sources = {
  etcd: async (place) => etcdTree(etcd, place),
  Consul: async (place) => consulTree(consul, place),
  HTTP: async () => httpDocument(await startHttpSource()),
  file: async (place, shape) => (shape === 'directory' ? fileTree(place) : fileDocument(place)),
};

const SHAPES = ['file', 'file by template', 'directory by templates', 'directory'] as const;
type Shape = (typeof SHAPES)[number];

interface Output {
  readonly variables: Variables;
  /** The file the application reads, through the link of a directory output. */
  readonly config: string;
  readonly greeting: (text: string) => string;
}

function outputOf(place: Place, shape: Shape, { shape: kind }: Backing): Output {
  const greeted = (text: string): string => /^hello (\w+)\n$/.exec(text)?.[1] ?? `not whole: ${text}`;
  if (shape === 'file') {
    const config = place.at('out/app.json');
    return { variables: { OUTPUT: config }, config, greeting: (text) => JSON.parse(text).greeting };
  }
  if (shape === 'file by template') {
    const template = place.write('app.conf.liquid', 'hello {{ greeting }}\n');
    const config = place.at('out/app.conf');
    return { variables: { OUTPUT: config, TEMPLATE: template }, config, greeting: greeted };
  }
  const variables = { OUTPUT: `${place.at('out')}/` };
  if (shape === 'directory' && kind === 'tree') {
    return { variables, config: place.at('out/..data/greeting'), greeting: (text) => text };
  }
  place.write('templates/app.conf.liquid', 'hello {{ greeting }}\n');
  place.write('templates/sub/motd', 'as it is\n');
  const config = place.at('out/..data/app.conf');
  return { variables: { ...variables, TEMPLATE: `${place.at('templates')}/` }, config, greeting: greeted };
}

interface Hook {
  readonly variables: Variables;
  /** What was read at the moment of each notification. */
  readonly told: () => readonly string[];
}

type Hooks = Readonly<Record<string, (place: Place, config: string) => Promise<Hook>>>;

const HOOKS: Hooks = {
  'a signal by process name': async (place, config) => {
    const app = await place.app({ config });
    return { variables: { APP_PROCESS: place.name }, told: () => app.told().map(String) };
  },
  'a signal by command line': async (place, config) => {
    const app = await place.app({ config, name: 'whatever' });
    const pattern = `/recorder\\.mjs ${place.root}.*/`;
    return {
      variables: { APP_PROCESS: pattern, RELOAD_SIGNAL: 'SIGUSR2' },
      told: () => app.told('SIGUSR2').map(String),
    };
  },
  'a signal by PID file': async (place, config) => {
    const pidFile = place.at('app.pid');
    const app = await place.app({ config, pidFile });
    return {
      variables: { APP_PID_FILE: pidFile, RELOAD_SIGNAL: 'SIGUSR1' },
      told: () => app.told('SIGUSR1').map(String),
    };
  },
  'an HTTP request': async (_place, config) => {
    const server = await startHttpSource();
    const told: string[] = [];
    server.answer((request, response) => {
      told.push(
        `${request.method} ${request.headers['x-reason']}` === 'PUT config'
          ? readFileSync(config, 'utf8')
          : 'wrong',
      );
      respond(response, 204, '');
    });
    const variables = {
      RELOAD_URL: `${server.origin}/-/reload`,
      RELOAD_METHOD: 'PUT',
      RELOAD_HEADERS: 'X-Reason: config',
    };
    return { variables, told: () => told };
  },
  'a command': async (place, config) => {
    const script = place.write(
      'reload.sh',
      `base64 -w0 < "${config}" >> told; echo " $CONFIG_OUTPUT" >> told\n`,
    );
    const told = (): readonly string[] => {
      if (!existsSync(place.at('told'))) return [];
      const lines = place
        .read('told')
        .split('\n')
        .filter((line) => line !== '');
      return lines.map((line) => Buffer.from(line.split(' ')[0] ?? '', 'base64').toString());
    };
    return { variables: { RELOAD_COMMAND: `sh "${script}"` }, told };
  },
};

const GREETINGS = ['one', 'two', 'three'];

describe.concurrent('a change is live in the application', () => {
  Object.entries(SOURCES).forEach(([sourceName, openSource], i) => {
    Object.entries(HOOKS).forEach(([hookName, openHook], j) => {
      const shape = SHAPES[(i + j) % SHAPES.length] ?? 'file';
      test(`from ${sourceName} to a ${shape}, notified by ${hookName}`, async (context) => {
        const place = createPlace(context);
        place.directory('out');
        const source = await openSource(place, shape);
        const { variables, config, greeting } = outputOf(place, shape, source);
        await source.set({ greeting: 'one', unused: 'x' });
        const hook = await openHook(place, config);
        const sidecar = await place.start({
          ...source.variables,
          ...variables,
          ...hook.variables,
          RELOAD_MIN_INTERVAL: '100ms',
        });
        for (const [count, text] of GREETINGS.entries()) {
          // What is equal first: in a store it is a change of its own, which comes to nothing.
          if (count > 0) await source.set({ unused: 'x', greeting: text });
          await until(`it was notified ${count + 1} times`, () => hook.told().length > count);
        }
        expect(hook.told().map(greeting)).toEqual(GREETINGS);
        await until('it is known to work', async () => {
          const { desired, lastKnownGood } = await sidecar.target();
          return desired?.rendering === lastKnownGood?.rendering;
        });
        const { reloadOwed, running, desired } = await sidecar.outcome('applied');
        expect(reloadOwed).toBe(false);
        // A signal alone is no evidence, an answer is.
        const expected = hookName.startsWith('a signal') ? undefined : 'answered';
        expect(running?.evidence).toBe(expected);
        if (running !== null) expect(running.rendering).toBe(desired?.rendering);
        expect(await sidecar.metric('config_sidecar_generation')).toEqual({ '{target="default"}': 3 });
        expect(await sidecar.end()).toMatchObject({ code: 0 });
      });
    });
  });
});
