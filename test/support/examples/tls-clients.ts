// Clients that ask over TLS again and again, and remember what failed and which certificate they were shown.
import { get } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';

/** Leaves the processor to those who answer. */
const PAUSE_MS = 5;

/** Where it is asked, and how the certificate is judged. */
export interface Place {
  readonly port: number;
  readonly host: string;
  readonly ca: string;
  /** What the answer has to be. */
  readonly wanted: string;
}

/** One request on a connection of its own; gives the serial number of the certificate. Rejects on anything but what is wanted. */
export function ask({ port, host, ca, wanted }: Place): Promise<string> {
  return new Promise((resolve, reject) => {
    const where = { host: '127.0.0.1', port, servername: host, headers: { Host: host }, timeout: 20_000 };
    const request = get({ ...where, ca, agent: false }, (response) => {
      const { serialNumber } = (response.socket as TLSSocket).getPeerCertificate();
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200 && body === wanted) resolve(serialNumber);
        else reject(new Error(`${response.statusCode} ${body}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', reject);
  });
}

/** What one answer has in this header. */
export function headerOf({ port, host, ca }: Place, name: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const where = { host: '127.0.0.1', port, servername: host, headers: { Host: host }, timeout: 20_000 };
    const request = get({ ...where, ca, agent: false }, (response) => {
      response.resume();
      resolve(response.headers[name]?.toString());
    });
    request.on('error', reject);
  });
}

export interface Clients {
  /** Certificates in the order in which they were first seen. */
  readonly seen: () => readonly string[];
  readonly stop: () => Promise<{ readonly requests: number; readonly failures: readonly string[] }>;
}

/** Starts so many of them. */
export function startClients(place: Place, count: number): Clients {
  const seen = new Set<string>();
  const failures: string[] = [];
  let requests = 0;
  let stopped = false;
  const loop = async (): Promise<void> => {
    while (!stopped) {
      requests += 1;
      try {
        seen.add(await ask(place));
      } catch (thrown) {
        failures.push(String(thrown));
      }
      await sleep(PAUSE_MS);
    }
  };
  const loops = Array.from({ length: count }, loop);
  const stop: Clients['stop'] = async () => {
    stopped = true;
    await Promise.all(loops);
    return { requests, failures };
  };
  return { seen: () => [...seen], stop };
}
