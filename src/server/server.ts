// Serves the endpoints at LISTEN; every client may connect.
import { createServer } from 'node:http';
import type { Server } from 'node:net';
import type { Registry } from 'prom-client';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import type { TargetView } from '../reconcile/view.ts';
import type { Listen } from '../settings/web.ts';
import { createIntake, type Intake } from './connections.ts';
import type { ControlsByTarget } from './control.ts';
import { type Channel, createListener, type Served } from './endpoints.ts';
import { detailsOf, type Identity, reasonsNotReady, statusOf } from './status.ts';

export type { Served } from './endpoints.ts';

/** What the endpoints show and control, asked again at each request. */
export interface Serving {
  readonly kept: () => readonly TargetView[];
  readonly identity: Identity;
  readonly controls: () => ControlsByTarget;
  /** Resolves when the control socket is there, if it can be. */
  readonly controlSocket: () => Promise<void>;
  /** CONTROL_TOKEN as it is now; may throw. */
  readonly token: () => string | undefined;
}

/** What the endpoints need, from the targets as they are. */
export function servedBy({ kept, identity, controls, controlSocket, token }: Serving): Served {
  let registry: Promise<Registry> | null = null;
  return {
    targets: () => kept().map(({ name }) => name),
    status: (target) => statusOf(named(kept(), target), identity),
    details: (target) => detailsOf(named(kept(), target), identity),
    notReady: async (target) => {
      const asked = named(kept(), target);
      const reasons = asked.length === 0 ? ['starting'] : reasonsNotReady(asked);
      // A sidecar that says it is ready can be controlled.
      if (reasons.length === 0) await controlSocket();
      return reasons;
    },
    metrics: async () => {
      registry ??= import('./metrics.ts').then(({ createRegistry }) => createRegistry(kept, identity));
      return await (await registry).metrics();
    },
    controls,
    token,
  };
}

/** null: all of them. */
function named(kept: readonly TargetView[], target: string | null): readonly TargetView[] {
  return target === null ? kept : kept.filter(({ name }) => name === target);
}

/** A server that answers the endpoints, not listening yet. */
export function createEndpointServer(served: Served, channel: Channel): Intake {
  const listener = createListener(served, channel);
  // It gets whole requests from the intake, which has bounds for the time and the bytes that they take.
  const http = createServer({ headersTimeout: 0, requestTimeout: 0 }, listener);
  // A client that asks before it sends a body gets the answer without sending it.
  http.on('checkContinue', listener);
  return createIntake(http);
}

/**
 * Listens until the intake is closed.
 * @throws SidecarError `listen.failed` when the address cannot be had.
 */
export async function listenAt(listen: Exclude<Listen, 'off'>, served: Served): Promise<Intake> {
  const intake = createEndpointServer(served, 'network');
  await bind(intake.server, listen);
  return intake;
}

/** Without a host both families are tried: a machine may have either switched off. */
function bind(server: Server, { host, port }: Exclude<Listen, 'off'>): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const address = `${host ?? ''}:${port}`;
      const taken = errnoOf(cause) === 'EADDRINUSE' ? 'another program listens there' : cause.message;
      reject(
        new SidecarError(
          `Cannot listen on "${address}": ${taken}. Set LISTEN to a free address, or to off.`,
          {
            code: 'listen.failed',
            stage: 'settings',
            cause,
          },
        ),
      );
    });
    server.listen(host === null ? { port } : { host, port }, () => {
      // What happens to the listening socket later (no descriptors left) is no reason to end.
      server.on('error', () => {});
      resolve();
    });
  });
}
