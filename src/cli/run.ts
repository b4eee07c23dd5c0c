// The `run` command: keeps its target in step and answers its endpoints until the process is asked to end.
import { toSidecarError } from '../lib/errors.ts';
import { EXIT } from '../lib/exit-codes.ts';
import { errorFields, type Log } from '../lib/log.ts';
import { providerOptions } from '../reconcile/provider-options.ts';
import { notInControl } from '../reconcile/sentences.ts';
import { type RunningTarget, startTarget, type TargetOptions } from '../reconcile/start-target.ts';
import type { Intake } from '../server/connections.ts';
import type { Controls } from '../server/control.ts';
import { type ControlSocket, startControl } from '../server/control-socket.ts';
import { listenAt, type Served, servedBy } from '../server/server.ts';
import { currentOf, sourceOf } from '../settings/secrets.ts';
import type { Loaded } from '../settings/settings.ts';
import type { Cli } from './types.ts';

/** Settings with the log they ask for. */
export interface Configured {
  readonly loaded: Loaded;
  readonly log: Log;
}

/**
 * Runs until `cli.ending` aborts; a SIGHUP reads the settings again with `load`, and the source when they are the same.
 * @throws SidecarError when the first settings cannot be started with. Later ones that cannot change nothing.
 */
export async function run(cli: Cli, load: () => Promise<Configured>): Promise<number> {
  const running = new Running(cli);
  const first = await load();
  await running.start(first);
  first.log.info('started', {
    ...{ version: cli.version, instance: cli.instance },
    message: `config-sidecar ${cli.version} runs.`,
  });
  let syncing = Promise.resolve();
  cli.onSync(() => {
    syncing = syncing.then(() => running.sync(load));
  });
  await ended(cli.ending);
  await running.stop();
  return EXIT.done;
}

class Running {
  readonly #cli: Cli;
  #configured: Configured | null = null;
  #target: RunningTarget | null = null;
  #server: Intake | null = null;
  #control: ControlSocket | null = null;
  readonly #served: Served;

  constructor(cli: Cli) {
    this.#cli = cli;
    this.#served = servedBy({
      kept: () => (this.#target === null ? [] : [this.#target]),
      identity: { version: cli.version, instance: cli.instance },
      controls: () => new Map(this.#target === null ? [] : [[this.#target.name, controlsOf(this.#target)]]),
      controlSocket: async () => await this.#control?.look(),
      token: () =>
        this.#configured === null ? undefined : currentOf(this.#configured.loaded, 'CONTROL_TOKEN'),
    });
  }

  /** Whatever may fail comes first, so that a failure leaves everything as it was. */
  async start(next: Configured): Promise<void> {
    const options = await this.#targetOptions(next);
    const listens = JSON.stringify(this.#configured?.loaded.settings.LISTEN);
    if (JSON.stringify(next.loaded.settings.LISTEN) !== listens) {
      const { LISTEN } = next.loaded.settings;
      const server = LISTEN === 'off' ? null : await listenAt(LISTEN, this.#served);
      this.#server?.close();
      this.#server = server;
    }
    await this.#target?.stop({ handsOver: true });
    if (this.#cli.ending.aborted) return;
    this.#configured = next;
    this.#target = startTarget(options);
    this.#control ??= startControl({
      directory: () => this.#stateDirectory,
      served: this.#served,
      log: next.log,
    });
  }

  /** While the lock is ours. */
  get #stateDirectory(): string | null {
    const target = this.#target;
    return target?.state.session.isOpen ? target.stateDirectory : null;
  }

  async sync(load: () => Promise<Configured>): Promise<void> {
    if (this.#cli.ending.aborted) return;
    try {
      const next = await load();
      if (this.#configured !== null && sameSettings(next.loaded, this.#configured.loaded))
        return this.#target?.sync();
      if (this.#cli.ending.aborted) return;
      await this.start(next);
      next.log.info('settings changed', { message: 'The new settings are in use.' });
    } catch (thrown) {
      this.#configured?.log.error('settings refused', errorFields(toSidecarError(thrown, 'settings')));
    }
  }

  async stop(): Promise<void> {
    this.#configured?.log.info('stopping', { message: 'The process ends.' });
    await this.#control?.close();
    await this.#target?.stop();
    this.#server?.close();
  }

  /** @throws SidecarError `settings.source` when the provider cannot work with the URL. */
  async #targetOptions({ loaded, log }: Configured): Promise<TargetOptions> {
    const { env, instance } = this.#cli;
    const open = await sourceOf(loaded).load();
    open(providerOptions(loaded, env));
    return { name: 'default', loaded, log, open, env, instance };
  }
}

function controlsOf(target: RunningTarget): Controls {
  return {
    sync: (retry) => {
      if (retry && !target.state.session.isOpen) throw notInControl();
      target.sync(retry);
    },
    rollback: (generation) => target.pin(generation),
    resume: () => target.unpin(),
  };
}

function sameSettings(a: Loaded, b: Loaded): boolean {
  const text = ({ given }: Loaded): string =>
    JSON.stringify([...given].map(([name, one]) => [name, one.text, one.secretFile]));
  return text(a) === text(b);
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
