// The `run` command: keeps its targets in step and answers the endpoints until the process is asked to end.
import { toSidecarError } from '../lib/errors.ts';
import { EXIT } from '../lib/exit-codes.ts';
import { errorFields, type Log } from '../lib/log.ts';
import { aborted } from '../lib/wait.ts';
import { notInControl } from '../reconcile/sentences.ts';
import { type RunningTarget, startTarget, type TargetOptions } from '../reconcile/start-target.ts';
import type { Intake } from '../server/connections.ts';
import type { Controls } from '../server/control.ts';
import { type ControlSocket, startControl } from '../server/control-socket.ts';
import type { PodReporter } from '../server/pod-reporter.ts';
import { listenAt, type Served, servedBy } from '../server/server.ts';
import { providerOptions } from '../settings/provider-options.ts';
import { currentOf, sourceOf } from '../settings/secrets.ts';
import type { Loaded, Targets } from '../settings/settings.ts';
import type { Listen } from '../settings/web.ts';
import { SourcePool } from '../source/pool.ts';
import type { Cli } from './types.ts';

/** The settings of every target, with the log they ask for. */
export interface Configured {
  readonly targets: Targets;
  readonly log: Log;
}

/**
 * Runs until `cli.ending` aborts; a SIGHUP reads the settings again with `load`, and the sources of the targets whose
 * settings are the same.
 * @throws SidecarError when the first settings cannot be started with. Later ones that cannot change nothing.
 */
export async function run(cli: Cli, load: () => Promise<Configured>): Promise<number> {
  const running = new Running(cli);
  const first = await load();
  await running.change(first);
  const names = [...first.targets.keys()];
  const of = names.length > 1 ? ` with the targets ${names.join(', ')}` : '';
  first.log.info('started', {
    ...{ version: cli.version, instance: cli.instance },
    message: `config-sidecar ${cli.version} runs${of}.`,
  });
  if (process.pid === 1 && runsCommands(first.targets))
    first.log.warn('setting suspicious', { message: NO_INIT });
  let syncing = Promise.resolve();
  cli.onSync(() => {
    syncing = syncing.then(() => running.sync(load));
  });
  await aborted(cli.ending);
  await running.stop();
  return EXIT.done;
}

const NO_INIT =
  'The sidecar is process 1 of this container, and Node.js does not collect what commands leave behind: zombies add up. Start it with an init: tini -s -- node …, or docker run --init.';

function runsCommands(targets: Targets): boolean {
  return [...targets.values()].some(({ settings }) => {
    const { RELOAD_COMMAND, VALIDATE_COMMAND } = settings;
    return RELOAD_COMMAND !== undefined || VALIDATE_COMMAND !== undefined;
  });
}

/** One target that runs, with the settings it was started with. */
interface Started {
  readonly loaded: Loaded;
  readonly target: RunningTarget;
  readonly control: ControlSocket;
}

class Running {
  readonly #cli: Cli;
  #log: Log | null = null;
  #listen: Listen | null = null;
  /** By name, in the order of the settings file. */
  #targets: ReadonlyMap<string, Started> = new Map();
  #server: Intake | null = null;
  readonly #pool = new SourcePool();
  /** null without KUBERNETES_EVENTS. */
  #pod: PodReporter | null = null;
  readonly #served: Served;

  constructor(cli: Cli) {
    this.#cli = cli;
    const all = () => [...this.#targets.values()];
    this.#served = servedBy({
      kept: () => all().map(({ target }) => target),
      identity: { version: cli.version, instance: cli.instance },
      controls: () => new Map(all().map(({ target }) => [target.name, controlsOf(target)])),
      controlSocket: async () => {
        await Promise.all(all().map(({ control }) => control.look()));
      },
      token: () => {
        const [first] = all();
        return first && currentOf(first.loaded, 'CONTROL_TOKEN');
      },
    });
  }

  /**
   * Stops the targets that are gone, starts the new ones, and starts those again whose settings are others; the rest runs on.
   * What may fail comes first, so that a failure leaves everything as it was.
   */
  async change(next: Configured): Promise<void> {
    const kept = this.#unchanged(next.targets);
    const starting = await this.#options(next, kept);
    await this.#listenAt(next);
    await this.#reportToPod(next);
    await this.#end(kept, next);
    if (this.#cli.ending.aborted) return;
    this.#log = next.log;
    const started = [...next.targets.keys()].flatMap((name): readonly (readonly [string, Started])[] => {
      const known = this.#targets.get(name);
      if (kept.has(name) && known !== undefined) return [[name, known]];
      const options = starting.get(name);
      return options === undefined ? [] : [[name, this.#start(options)]];
    });
    this.#targets = new Map(started);
  }

  /** Names of the targets that run with just these settings. */
  #unchanged(next: Targets): ReadonlySet<string> {
    const same = [...next].filter(([name, loaded]) => {
      const known = this.#targets.get(name);
      return known !== undefined && sameSettings(known.loaded, loaded);
    });
    return new Set(same.map(([name]) => name));
  }

  /** @throws SidecarError `settings.source` when the provider of one cannot work with its URL. */
  async #options(
    { targets, log }: Configured,
    kept: ReadonlySet<string>,
  ): Promise<ReadonlyMap<string, TargetOptions>> {
    const { env, instance } = this.#cli;
    const options = new Map<string, TargetOptions>();
    for (const [name, loaded] of targets) {
      if (kept.has(name)) continue;
      const open = await sourceOf(loaded).load();
      open(providerOptions(loaded, env));
      options.set(name, { name, loaded, log, open, env, instance, pool: this.#pool });
    }
    return options;
  }

  /** LISTEN is one for the process: every target has the same. */
  async #listenAt({ targets }: Configured): Promise<void> {
    const [first] = targets.values();
    const listen = first?.settings.LISTEN ?? 'off';
    if (JSON.stringify(listen) === JSON.stringify(this.#listen)) return;
    const server = listen === 'off' ? null : await listenAt(listen, this.#served);
    this.#server?.close();
    this.#server = server;
    this.#listen = listen;
  }

  /** KUBERNETES_EVENTS is one for the process, as LISTEN is. */
  async #reportToPod({ targets, log }: Configured): Promise<void> {
    const [first] = targets.values();
    const isWanted = first?.settings.KUBERNETES_EVENTS === true;
    if (isWanted === (this.#pod !== null)) return;
    this.#pod?.stop();
    this.#pod = null;
    if (!isWanted || first === undefined) return;
    const { startPodReporter } = await import('../server/pod-reporter.ts');
    const { env, instance } = this.#cli;
    this.#pod = startPodReporter(
      {
        ...providerOptions(first, env),
        pod: env['POD_NAME'] || instance,
        timeoutMs: first.settings.FETCH_TIMEOUT,
      },
      log,
    );
  }

  /** An output that another target goes on with is handed over: nothing is settled there at the end. */
  async #end(kept: ReadonlySet<string>, next: Configured): Promise<void> {
    const outputs = new Set([...next.targets.values()].map(({ settings }) => settings.OUTPUT.path));
    const ending = [...this.#targets].filter(([name]) => !kept.has(name));
    await Promise.all(
      ending.map(async ([, { loaded, target, control }]) => {
        if (!next.targets.has(target.name)) await control.close();
        if (!next.targets.has(target.name)) this.#pod?.forget(target.name);
        await target.stop({ handsOver: outputs.has(loaded.settings.OUTPUT.path) });
      }),
    );
  }

  #start(options: TargetOptions): Started {
    const { name, loaded, log } = options;
    const target = startTarget({
      ...options,
      onReport: (report) => this.#pod?.report(name, report),
      onOpen: () => void this.#targets.get(name)?.control.look(),
    });
    const directory = () => this.#stateDirectory(name);
    // It outlives its target: a command may come while that restarts.
    const control =
      this.#targets.get(name)?.control ?? startControl({ directory, served: this.#served, log });
    return { loaded, target, control };
  }

  /** While the lock is ours. */
  #stateDirectory(name: string): string | null {
    const target = this.#targets.get(name)?.target;
    return target?.state.session.isOpen ? target.stateDirectory : null;
  }

  async sync(load: () => Promise<Configured>): Promise<void> {
    if (this.#cli.ending.aborted) return;
    try {
      const next = await load();
      if (this.#cli.ending.aborted) return;
      const before = this.#targets;
      const { size } = this.#unchanged(next.targets);
      if (size === before.size && size === next.targets.size) return syncAll(before);
      await this.change(next);
      next.log.info('settings changed', { message: 'The new settings are in use.' });
      syncAll(new Map([...this.#targets].filter(([name, one]) => before.get(name) === one)));
    } catch (thrown) {
      this.#log?.error('settings refused', errorFields(toSidecarError(thrown, 'settings')));
    }
  }

  async stop(): Promise<void> {
    this.#log?.info('stopping', { message: 'The sidecar is stopping.' });
    const all = [...this.#targets.values()];
    await Promise.all(all.map(({ control }) => control.close()));
    await Promise.all(all.map(({ target }) => target.stop()));
    this.#pod?.stop();
    this.#server?.close();
  }
}

function syncAll(targets: ReadonlyMap<string, Started>): void {
  for (const { target } of targets.values()) target.sync();
}

function controlsOf(target: RunningTarget): Controls {
  return {
    sync: (retry) => {
      if (retry && !target.state.session.isOpen) throw notInControl();
      target.sync(retry);
    },
    rollback: (generation, asker) => target.pin(generation, asker),
    resume: () => target.unpin(),
  };
}

function sameSettings(a: Loaded, b: Loaded): boolean {
  const text = ({ raw }: Loaded): string =>
    JSON.stringify([...raw].map(([name, one]) => [name, one.text, one.secretFile]));
  return text(a) === text(b);
}
