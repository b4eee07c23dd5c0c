// A real server and its sidecar, alone in a process namespace: started before an application's tests, ended after them.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { PresetName } from '../../../src/settings/presets/table.ts';
import { createPlace, type Place } from '../e2e/place.ts';
import type { Sidecar, Variables } from '../e2e/sidecar.ts';
import { until } from '../e2e/until.ts';
import type { SetName } from '../servers/prerequisites.ts';
import { type Programs, programsOf } from './programs.ts';
import { openRoom, type Room, type Started } from './room.ts';

/** What the parts of an application's test are given. */
export interface Scene {
  readonly place: Place;
  readonly programs: Programs;
  readonly room: Room;
  /** The file the sidecar writes. */
  readonly output: string;
}

/** One server as a test runs it. */
export interface Server {
  readonly preset: PresetName;
  /** The package set its programs come from; default: the one with the preset's name. Null: this machine's own programs. */
  readonly set?: SetName | null;
  /** Name of the main file. */
  readonly output: string;
  /** Makes what it needs besides its configuration, once. */
  readonly prepare?: (scene: Scene) => void | Promise<void>;
  /** Settings a user has to give with the preset; SOURCE, OUTPUT and shorter times are there. */
  readonly settings?: (scene: Scene) => Variables;
  /** A configuration with which it serves this version. */
  readonly good: (version: string, scene: Scene) => string;
  /** The words that start it in the foreground. */
  readonly command: (scene: Scene) => readonly string[];
  /** The version it serves now, asked of the server itself. Throws while it cannot be asked. */
  readonly served: (scene: Scene) => Promise<string>;
}

/** A server that is started again when it exits, as a supervisor would. */
interface Supervised {
  readonly current: () => Started;
  readonly stop: () => void;
  readonly starts: () => number;
}

/** What tests do with it; nothing of it is there before the first test. */
export interface Stage {
  readonly scene: () => Scene;
  readonly server: () => Supervised;
  readonly sidecar: () => Sidecar;
  /** Writes what the sidecar follows. */
  readonly put: (text: string) => void;
  /** Waits until the server serves this version. */
  readonly served: (version: string) => Promise<unknown>;
  /** Starts the sidecar again with further settings, at version two. */
  readonly restart: (more: Variables) => Promise<void>;
  /** `SIGHUP 12`: what the sidecar sent since the last call of `forgetSignals`. */
  readonly signals: () => readonly string[];
  readonly forgetSignals: () => void;
}

/** Shortened for tests; the defaults are 3s and 30s. */
const TIMES = {
  CONFIRM_PERIOD: '1s',
  CONFIRM_TIMEOUT: '5s',
  RELOAD_MIN_INTERVAL: '100ms',
  UPDATE_FREQUENCY: '5s',
};

const RECORD = new URL('record-signals.mjs', import.meta.url).pathname;

/** Registers what comes before and after the tests: server and sidecar at version one. */
export function setStage(application: Server): Stage {
  const place = createPlace({
    onTestFinished: (end) => afterAll(() => end({} as never)),
    onTestFailed: () => {},
  });
  let scene: Scene;
  let server: Supervised;
  let sidecar: Sidecar;
  const put = (text: string): string => place.write('source/config', text);
  const served = (version: string): Promise<unknown> =>
    until(`version ${version} is served`, async () => {
      const seen = await application.served(scene).catch((thrown: Error) => {
        throw new Error(`${thrown.message}; it printed: ${server.current().output().slice(-500)}`);
      });
      if (seen !== version) throw new Error(`it serves ${seen}`);
      return true;
    });

  beforeAll(async () => {
    const { preset, set = preset as SetName } = application;
    const programs = programsOf(set);
    const room = await openRoom();
    scene = { place, programs, room, output: join(place.directory('live'), application.output) };
    await application.prepare?.(scene);
    put(application.good('one', scene));
    writeFileSync(scene.output, application.good('one', scene));
    server = await supervise(application, scene);
    await served('one');
    sidecar = await startInRoom(application, scene);
    await sidecar.outcome('applied');
  });

  afterAll(async () => {
    server?.stop();
    scene?.room.close();
  });

  afterEach(({ task }) => {
    if (task.result?.state !== 'fail') return;
    console.error(sidecar?.output().slice(-6_000), server?.current().output().slice(-2_000));
  });

  const record = recordOf(place);
  return {
    scene: () => scene,
    server: () => server,
    sidecar: () => sidecar,
    put,
    served,
    restart: async (more) => {
      await endInRoom(scene);
      put(application.good('two', scene));
      sidecar = await startInRoom(application, scene, more);
      await until('it follows', async () => (await sidecar.target()).outcome !== null);
      const good = application.good('two', scene);
      await until('version two is on the volume', () => readFileSync(scene.output, 'utf8') === good);
    },
    signals: () => (existsSync(record) ? readFileSync(record, 'utf8').split('\n').filter(Boolean) : []),
    forgetSignals: () => writeFileSync(record, ''),
  };
}

/** The sidecar with the preset, inside of the room. */
function startInRoom(application: Server, scene: Scene, more: Variables = {}): Promise<Sidecar> {
  const { place, programs, room, output } = scene;
  const [node = '', ...nodeWords] = room.inside([
    ...['sh', '-c', 'echo $$ >"$0" && exec "$@"', place.at('sidecar.pid')],
    ...[process.execPath, `--import=${RECORD}`],
  ]);
  const variables = {
    ...programs.env,
    ...TIMES,
    SOURCE: place.at('source/config'),
    FORMAT: 'raw',
    OUTPUT: output,
    STATE_DIR: place.directory('state'),
    PRESET: application.preset,
    SIGNAL_RECORD: recordOf(place),
    ...application.settings?.(scene),
    ...more,
  };
  return place.start(variables, { node, nodeWords });
}

/** A signal to the one that entered the room would not get through to what it runs there. */
async function endInRoom({ place, room }: Scene): Promise<void> {
  const pid = Number(place.read('sidecar.pid'));
  const [kill = '', ...words] = room.inside(['sh', '-c', 'kill -TERM "$0"', String(pid)]);
  execFileSync(kill, words);
  await until('the sidecar has ended', () => !room.inmates().some((one) => one.pid === pid));
}

function recordOf(place: Place): string {
  return place.at('signals');
}

async function supervise(application: Server, scene: Scene): Promise<Supervised> {
  const start = (): Promise<Started> =>
    scene.room.start(application.command(scene), {
      env: { ...process.env, ...scene.programs.env },
      cwd: scene.place.root,
    });
  let current = await start();
  let starts = 1;
  let busy = false;
  const timer = setInterval(() => {
    if (busy || current.isRunning()) return;
    busy = true;
    void start().then((next) => {
      current = next;
      starts += 1;
      busy = false;
    });
  }, 200);
  return { current: () => current, starts: () => starts, stop: () => clearInterval(timer) };
}
