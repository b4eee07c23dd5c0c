// The campaign against HTTP servers of every kind: faults of the network at the proxy, faults of the server in its script.
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Content } from '../../src/source/provider.ts';
import { type Place, runCampaign, type ServerFault } from '../support/campaign/campaign.ts';
import type { State } from '../support/campaign/history.ts';
import { PROXY_FAULTS } from '../support/campaign/sequence.ts';
import {
  type HttpSource,
  respond,
  respondOpenEnded,
  startHttpSource,
} from '../support/servers/http-source.ts';
import { startProxy } from '../support/servers/proxy.ts';
import { openHttp } from '../support/source/open.ts';
import { providerOptions } from '../support/source/provider-contract.ts';

/** What one place of the server holds, and how it serves it. */
interface Served {
  readonly kind: Kind;
  state: State;
  /** Counts the writes, also those that change nothing. */
  version: number;
  /** What the next answers are instead of the document. */
  readonly faults: Fault[];
}

/**
 * The kinds of servers: an ETag of the content; a weak ETag that counts writes; Last-Modified alone; no validator; compressed;
 * in chunks.
 */
const KINDS = ['strong', 'weak', 'last-modified', 'none', 'gzip', 'chunked'] as const;
/** Of `open-ended` ones only the end of the connection says how long an answer is. */
type Kind = (typeof KINDS)[number] | 'open-ended';

type Answering = (request: IncomingMessage, response: ServerResponse, served: Served) => void;

const textOf = ({ state }: Served): string => JSON.stringify(state);
const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');
const etagOf = (served: Served): string =>
  served.kind === 'weak' ? `W/"${served.version}"` : `"${digestOf(textOf(served))}"`;

/** Everything a server or what stands before it may answer instead. */
const FAULTS = {
  failing: (_request, response) => respond(response, 500, '{}'),
  busy: (_request, response) => respond(response, 503, '', { 'retry-after': '1' }),
  missing: (_request, response) => respond(response, 404, '{}'),
  denied: (_request, response) => respond(response, 401, '{}'),
  page: (_request, response) =>
    respond(response, 200, '<!DOCTYPE html><p>Log in</p>', { 'content-type': 'text/html' }),
  elsewhere: (_request, response) => respond(response, 302, '', { location: 'http://127.0.0.1:1/login' }),
  'in a circle': (request, response) => respond(response, 302, '', { location: request.url ?? '/' }),
  silent: (request) => void setTimeout(() => request.socket.destroy(), 300),
  'cut short': (request, response, served) => {
    const text = textOf(served);
    response.writeHead(200, { etag: etagOf(served), 'content-length': text.length });
    response.write(text.slice(0, text.length / 2), () => request.socket.destroy());
  },
  'cut in chunks': (request, response, served) => {
    response.writeHead(200, { etag: etagOf(served) });
    response.write(textOf(served).slice(0, -1), () => request.socket.destroy());
  },
  'cut compressed': (_request, response, served) => {
    const packed = gzipSync(textOf(served));
    const headers = { etag: etagOf(served), 'content-encoding': 'gzip' };
    respond(response, 200, packed.subarray(0, packed.length - 9), headers);
  },
  'no HTTP': (request) => request.socket.end('SSH-2.0-OpenSSH\r\n'),
  'never the same': (request, response) => {
    const isAsked = request.headers['if-none-match'] ?? request.headers['if-modified-since'];
    if (isAsked === undefined) respond(response, 304, '');
    else respond(response, 500, '');
  },
  bomb: (_request, response) =>
    respond(response, 200, gzipSync(Buffer.alloc(4_000_000)), { 'content-encoding': 'gzip' }),
} satisfies Readonly<Record<string, Answering>>;
type Fault = keyof typeof FAULTS;

const SECOND_MS = 1_000;

/** Serves the document as this kind of server does. */
const serve: Answering = (request, response, served) => {
  const text = textOf(served);
  const { kind } = served;
  if (kind === 'open-ended') return respondOpenEnded(request, text);
  if (kind === 'none') return respond(response, 200, text);
  if (kind === 'last-modified') {
    // A clock that runs a hundred times as fast: seconds pass between two writes of the campaign, or just not.
    const date = (ms: number): string => new Date(Math.floor(ms / SECOND_MS) * SECOND_MS).toUTCString();
    const stamp = date(served.version * 700);
    const headers = { date: date(served.version * 700 + 2_000), 'last-modified': stamp };
    if (request.headers['if-modified-since'] === stamp) return respond(response, 304, '', headers);
    return respond(response, 200, text, headers);
  }
  const etag = etagOf(served);
  if (request.headers['if-none-match'] === etag) return respond(response, 304, '', { etag });
  if (kind === 'gzip') return respond(response, 200, gzipSync(text), { etag, 'content-encoding': 'gzip' });
  if (kind !== 'chunked') return respond(response, 200, text, { etag });
  response.writeHead(200, { etag });
  for (let at = 0; at < text.length; at += 1_000) response.write(text.slice(at, at + 1_000));
  response.end();
};

describe('HTTP under generated writes and faults', () => {
  let server: HttpSource;
  const places = new Map<string, Served>();
  beforeAll(async () => {
    server = await startHttpSource();
    server.answer((request, response) => {
      const served = places.get(request.url ?? '');
      if (served === undefined) return respond(response, 404, '');
      const fault = served.faults.shift();
      if (fault === undefined) serve(request, response, served);
      else FAULTS[fault](request, response, served);
    });
  });
  afterAll(() => server.stop());

  const open = (at: number): Promise<Place> => openKind(at, KINDS[at % KINDS.length] ?? 'none');

  async function openKind(at: number, kind: Kind): Promise<Place> {
    const path = `/campaign/${at}`;
    const served: Served = { kind, state: {}, version: 1, faults: [] };
    places.set(path, served);
    const proxy = await startProxy(server.port);
    const options = providerOptions({ updateFrequencyMs: 20, fetchTimeoutMs: 3_000, maxBytes: 2_000_000 });
    return {
      provider: openHttp(`http://127.0.0.1:${proxy.port}${path}`, options),
      proxy,
      write: async (changes) => {
        const next = new Map(Object.entries(served.state));
        for (const { key, value } of changes) value === null ? next.delete(key) : next.set(key, value);
        served.state = Object.fromEntries(next);
        served.version += 1;
        return revisionOf(served);
      },
      current: async () => {
        // Asked for when the faults are over, but for the next answers.
        served.faults.length = Math.min(served.faults.length, 2);
        return served.state;
      },
      decode,
      serverFaults: Object.fromEntries(
        Object.keys(FAULTS).map((fault) => [fault, scripted(served, fault as Fault)]),
      ),
      close: async () => {
        places.delete(path);
        await proxy.close();
      },
    };
  }

  it('ends equal to the store, and shows no state it never had', async () => {
    const report = await runCampaign({ name: 'http', open, sequences: 210 });
    expect(report.snapshots).toBeGreaterThan(report.sequences);
  }, 300_000);

  it('does so when the server, or what answers in its place, misbehaves', async () => {
    const serverFaults = Object.keys(FAULTS);
    const report = await runCampaign({ name: 'http server', open, sequences: 210, serverFaults });
    expect(report.snapshots).toBeGreaterThan(report.sequences);
    expect(Object.keys(report.faults)).toEqual(expect.arrayContaining(serverFaults));
  }, 300_000);

  // Not cut after the same number of bytes each time: without a length, that could not be distinguished from the whole.
  it('does so where the server gives no length', async () => {
    const report = await runCampaign({
      name: 'http without length',
      open: (at) => openKind(at, 'open-ended'),
      sequences: 60,
      proxyFaults: PROXY_FAULTS.filter((fault) => fault !== 'cut-after'),
    });
    // A state that is gone before it was read twice is never delivered.
    expect(report.snapshots).toBeGreaterThanOrEqual(report.sequences);
  }, 300_000);
});

/** The revision a snapshot must have: the ETag, else the digest of the bytes. */
function revisionOf(served: Served): string {
  const hasEtag = ['strong', 'weak', 'gzip', 'chunked'].includes(served.kind);
  return hasEtag ? etagOf(served) : `sha256:${digestOf(textOf(served))}`;
}

/** After one of these comes another trouble, since the same again would be followed by a wait of many seconds. */
const ONCE: ReadonlySet<Fault> = new Set(['denied', 'busy']);

/** The next two answers are wrong. */
function scripted(served: Served, fault: Fault): ServerFault {
  const run = async (): Promise<readonly State[]> => {
    if (served.faults.length < 2) served.faults.push(fault, ONCE.has(fault) ? 'failing' : fault);
    return [];
  };
  return { run, keepsData: true };
}

function decode(content: Content): State {
  if (content.kind !== 'document') throw new Error(`Expected a document, got "${content.kind}"`);
  return JSON.parse(Buffer.from(content.bytes).toString());
}
