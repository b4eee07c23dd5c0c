// One connection of a client: its one request is read within seconds, answered, and what else it sends is not looked at.
import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Request line and headers; a longer one is answered 431. */
const MAX_HEAD_BYTES = 16 * 1024;
/** A client that connects and says nothing holds a place that a probe may need. */
const FIRST_BYTE_MS = 1_000;
/** The request line with its headers must be here within this. */
const HEAD_MS = 5_000;
/** The answer must be made, and taken by the client, within this. */
const ANSWER_MS = 10_000;
/** How much of what follows the request is thrown away, and for how long: a connection that ends with bytes unread loses its answer. */
const MAX_DISCARDED_BYTES = 256 * 1024;
const DISCARD_MS = 500;

export interface ConnectionParts {
  /** What its share is counted by; null: it is not counted. */
  readonly address: string | null;
  /** Parses the request and calls the listener; it never listens itself. */
  readonly http: HttpServer;
  readonly onClose: () => void;
}

/**
 * Requests that are sent before the answer to the first one (pipelining) are never parsed: forty thousand of them in a few
 * packets would be forty thousand answers in memory.
 */
export class Connection {
  readonly address: string | null;
  readonly #socket: Socket;
  readonly #http: HttpServer;
  /** Made when a request comes in pieces. */
  #head: Buffer | null = null;
  #size = 0;
  #timer: NodeJS.Timeout;
  #state: 'waiting' | 'answering' | 'ending' = 'waiting';

  constructor(socket: Socket, { address, http, onClose }: ConnectionParts) {
    this.address = address;
    this.#socket = socket;
    this.#http = http;
    this.#timer = setTimeout(() => this.end(), FIRST_BYTE_MS);
    socket.on('error', () => {});
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('end', () => this.#ended());
    socket.on('close', () => {
      clearTimeout(this.#timer);
      onClose();
    });
  }

  /** Whether its request is not here yet. */
  get isIdle(): boolean {
    return this.#state === 'waiting';
  }

  /** At once; an answer under way is lost. */
  end(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#state === 'ending') this.#discard(chunk.length);
    if (this.#state !== 'waiting') return;
    if (this.#size === 0) {
      this.#within(HEAD_MS, () => this.#refuse('408 Request Timeout'));
      if (!/^[\r\nA-Za-z]/.test(chunk.toString('latin1', 0, 1))) {
        this.#refuse('400 Bad Request');
        return;
      }
    }
    const searched = this.#size;
    const head = this.#collect(chunk);
    const end = endOfHead(head, searched);
    // A copy: the rest of what came would stay in memory with it.
    if (end > 0) this.#answer(Buffer.from(head.subarray(0, end)));
    else if (this.#size >= MAX_HEAD_BYTES) this.#refuse('431 Request Header Fields Too Large');
  }

  #collect(chunk: Buffer): Buffer {
    if (this.#size === 0 && endOfHead(chunk, 0) > 0) return chunk.subarray(0, MAX_HEAD_BYTES);
    this.#head ??= Buffer.allocUnsafe(MAX_HEAD_BYTES);
    this.#size += chunk.copy(this.#head, this.#size);
    return this.#head.subarray(0, this.#size);
  }

  #answer(head: Buffer): void {
    this.#state = 'answering';
    this.#head = null;
    this.#socket.pause();
    this.#within(ANSWER_MS, () => this.end());
    const exchange = new Exchange(this.#socket, () => this.#finish());
    this.#http.emit('connection', exchange);
    exchange.push(head);
  }

  #refuse(status: string): void {
    this.#socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    this.#finish();
  }

  /** The answer is written: the connection ends once the client has it. */
  #finish(): void {
    if (this.#state === 'ending') return;
    this.#state = 'ending';
    this.#size = 0;
    this.#socket.end();
    this.#socket.resume();
    this.#within(DISCARD_MS, () => this.end());
  }

  #discard(bytes: number): void {
    this.#size += bytes;
    if (this.#size > MAX_DISCARDED_BYTES) this.end();
  }

  /** A client may end its side as soon as it has asked. */
  #ended(): void {
    if (this.#state !== 'answering') this.end();
  }

  #within(ms: number, act: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, ms);
  }
}

/** Where the empty line after the headers ends; 0: it is not there. `searched`: so many bytes were looked at before. */
function endOfHead(bytes: Buffer, searched: number): number {
  const from = Math.max(0, searched - 2);
  const ends = ['\n\r\n', '\n\n'].map((end) => ({ at: bytes.indexOf(end, from, 'latin1'), end }));
  const found = ends.filter(({ at }) => at >= 0).sort((a, b) => a.at - b.at)[0];
  return found === undefined ? 0 : found.at + found.end.length;
}

/** What the HTTP server sees of a connection: the bytes of one request, and the client to write to. */
class Exchange extends Duplex {
  /** As a socket has it; absent on the control socket. */
  readonly remoteAddress: string | undefined;
  readonly #socket: Socket;
  readonly #onFinish: () => void;

  constructor(socket: Socket, onFinish: () => void) {
    super();
    this.#socket = socket;
    this.#onFinish = onFinish;
    this.remoteAddress = socket.remoteAddress?.replace(/^::ffff:/, '');
    this.on('error', () => {});
    socket.once('close', () => this.destroy());
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#socket.destroyed) done();
    else this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#onFinish();
    done();
  }

  override _destroy(_error: Error | null, done: (error: Error | null) => void): void {
    this.#onFinish();
    done(null);
  }
}
