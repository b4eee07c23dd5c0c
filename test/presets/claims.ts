// What a preset claims, as a suite that every preset's test calls with the real server: a good change is served, a bad
// one is rejected before it is published, one that passes the check and does not load is taken back, and nobody but the
// master is signalled.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { PRESETS, type PresetName } from '../../src/presets.ts';
import { createPlace, type Place } from '../e2e/place.ts';
import type { Sidecar, Variables } from '../e2e/sidecar.ts';
import { until } from '../e2e/until.ts';
import { debianPrograms, type Programs } from './programs.ts';
import { openRoom, type Room, type Started } from './room.ts';

/** What the parts of an application's test are given. */
export interface Scene {
  readonly place: Place;
  readonly programs: Programs;
  readonly room: Room;
  /** The file the sidecar writes. */
  readonly output: string;
}

/** One application as a test runs it. */
export interface Application {
  readonly preset: PresetName;
  /** Debian packages: the server's, and libraries a bare machine does not have. */
  readonly packages: readonly string[];
  /** Name of the main file. */
  readonly output: string;
  /** Makes what it needs besides its configuration, once. */
  readonly prepare?: (scene: Scene) => void | Promise<void>;
  /** Settings a user has to give with the preset; SOURCE, OUTPUT and shorter times are there. */
  readonly settings?: (scene: Scene) => Variables;
  /** A configuration with which it serves this version. */
  readonly good: (version: string, scene: Scene) => string;
  /** One that its checker refuses. */
  readonly badSyntax: (scene: Scene) => string;
  /** One that passes the check and does not load; null: there is none, or nobody could see it. */
  readonly badSemantics: ((scene: Scene) => string) | null;
  /** The words that start it in the foreground. */
  readonly command: (scene: Scene) => readonly string[];
  /** The version it serves now, asked of the server itself. Throws while it cannot be asked. */
  readonly served: (scene: Scene) => Promise<string>;
  /** The signal the master gets; null: the hook is none. */
  readonly signal: NodeJS.Signals | null;
  /** The number that must get it, inside of the room; default: that of the program that was started. */
  readonly master?: (scene: Scene, started: Started) => number;
}

/** Shortened for tests; the defaults are 3s and 30s. */
const TIMES = {
  CONFIRM_PERIOD: '1s',
  CONFIRM_TIMEOUT: '5s',
  RELOAD_MIN_INTERVAL: '100ms',
  UPDATE_FREQUENCY: '5s',
};

const RECORD = new URL('record-signals.mjs', import.meta.url).pathname;

/** A server that is started again when it exits, as a supervisor would. */
interface Supervised {
  readonly current: () => Started;
  readonly stop: () => void;
  readonly starts: () => number;
}

/** Registers the tests of one application; each goes on where the one before ended. */
export function testClaims(application: Application): void {
  const place = createPlace({
    onTestFinished: (end) => afterAll(() => end({} as never)),
    onTestFailed: () => {},
  });
  const put = (text: string): string => place.write('source/config', text);
  let scene: Scene;
  let server: Supervised;
  let sidecar: Sidecar;
  const served = (version: string): Promise<unknown> =>
    until(`version ${version} is served`, async () => {
      const seen = await application.served(scene).catch((thrown: Error) => {
        throw new Error(`${thrown.message}; it printed: ${server.current().output().slice(-500)}`);
      });
      if (seen !== version) throw new Error(`it serves ${seen}`);
      return true;
    });

  beforeAll(async () => {
    const programs = await debianPrograms(application.packages);
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

  test('a good change is served, and only the master is signalled', async () => {
    forgetSignals(place);
    put(application.good('two', scene));
    await sidecar.outcome('applied');
    await served('two');
    const master = application.master?.(scene, server.current()) ?? server.current().pid;
    expect(signalsIn(place)).toEqual(application.signal === null ? [] : [`${application.signal} ${master}`]);
    expect(server.starts()).toBe(1);
  });

  test('a file that its own checker refuses never gets to it', async () => {
    const before = readFileSync(scene.output, 'utf8');
    forgetSignals(place);
    put(application.badSyntax(scene));
    const { code, history } = await sidecar.outcome('rejected');
    expect(code).toBe('validate.command');
    expect(history[0]?.message).not.toContain('not found');
    expect(readFileSync(scene.output, 'utf8')).toBe(before);
    expect(signalsIn(place)).toEqual([]);
    await served('two');
  });

  const { badSemantics } = application;
  // D-26
  if (badSemantics !== null) {
    test('one that passes the check and does not load is taken back', async () => {
      const before = readFileSync(scene.output, 'utf8');
      put(badSemantics(scene));
      const { blocked } = await sidecar.outcome('rolled-back');
      expect(blocked).toHaveLength(1);
      expect(readFileSync(scene.output, 'utf8')).toBe(before);
      await served('two');
    });
  }

  test('a broken file that nobody checked does to it what the preset says, and is taken back', async () => {
    await endInRoom(scene);
    put(application.good('two', scene));
    sidecar = await startInRoom(application, scene, { VALIDATE_COMMAND: 'true' });
    await until('it follows', async () => (await sidecar.target()).outcome !== null);
    const starts = server.starts();
    put(application.badSyntax(scene));
    await sidecar.outcome('rolled-back');
    await served('two');
    const { onBadFile } = PRESETS[application.preset];
    if (onBadFile === 'exits') expect(server.starts()).toBeGreaterThan(starts);
    else expect(server.starts()).toBe(starts);
    put(application.good('three', scene));
    await sidecar.outcome('applied');
    await served('three');
  });
}

/** The sidecar with the preset, inside of the room. */
function startInRoom(application: Application, scene: Scene, more: Variables = {}): Promise<Sidecar> {
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
  const [kill = '', ...words] = room.inside(['kill', '-TERM', String(pid)]);
  execFileSync(kill, words);
  await until('the sidecar has ended', () => !room.inmates().some((one) => one.pid === pid));
}

function recordOf(place: Place): string {
  return place.at('signals');
}

function forgetSignals(place: Place): void {
  writeFileSync(recordOf(place), '');
}

function signalsIn(place: Place): readonly string[] {
  const path = recordOf(place);
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean) : [];
}

async function supervise(application: Application, scene: Scene): Promise<Supervised> {
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
