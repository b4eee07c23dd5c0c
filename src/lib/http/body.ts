// Reads the body of an answer: never more than allowed, whole or not at all, decompressed strictly.
import type { Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import { errnoOf, type SidecarError } from '../errors.ts';
import { Gathered } from '../gathered.ts';
import type { HttpRequest } from './exchange.ts';
import { httpFailure } from './failure.ts';

/** Carries, as its cause, what went wrong after the head of the answer was there. */
export class BodyError extends Error {}

/** A body as it was read. */
export interface Body {
  readonly body: Buffer;
  /** Only its beginning: see `HttpRequest.truncate`. */
  readonly isCut: boolean;
}

/** The decompressed body. Throws a BodyError, or a SidecarError (`http.too-large`, `http.truncated`, `http.encoding`). */
export async function readBody(stream: Readable, encoding: string, request: HttpRequest): Promise<Body> {
  const { bytes, cut } = await collect(stream, request);
  if (cut && request.truncate === true) return { body: bytes.subarray(0, request.maxBytes), isCut: true };
  if (cut) throw tooLarge(request);
  return { body: decompress(bytes, encoding.trim().toLowerCase(), request), isCut: false };
}

async function collect(
  stream: Readable,
  { maxBytes, truncate, bodyMs }: HttpRequest,
): Promise<{ bytes: Buffer; cut: boolean }> {
  const gathered = new Gathered();
  let isLate = false;
  const stop = (): void => {
    isLate = true;
    stream.destroy();
  };
  const timer = truncate === true && bodyMs !== undefined ? setTimeout(stop, bodyMs) : undefined;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      gathered.add(chunk);
      if (gathered.size > maxBytes) break;
    }
  } catch (thrown) {
    if (!isLate) throw new BodyError('The body could not be read', { cause: thrown });
  } finally {
    clearTimeout(timer);
  }
  const cut = isLate || gathered.size > maxBytes;
  return { bytes: gathered.take(), cut };
}

const DECOMPRESSORS = new Map<string, (bytes: Buffer, options: zlib.ZlibOptions) => Buffer>([
  ['gzip', (bytes, options) => zlib.gunzipSync(bytes, options)],
  ['x-gzip', (bytes, options) => zlib.gunzipSync(bytes, options)],
  ['deflate', (bytes, options) => zlib.inflateSync(bytes, options)],
  ['br', (bytes, options) => zlib.brotliDecompressSync(bytes, options)],
]);

function decompress(bytes: Buffer, encoding: string, request: HttpRequest): Buffer {
  if (encoding === 'identity' || encoding === '' || bytes.length === 0) return bytes;
  const decompressor = DECOMPRESSORS.get(encoding);
  if (decompressor === undefined) {
    throw httpFailure(
      request,
      'http.encoding',
      'the answer is in an encoding that was not asked for; gzip is',
    );
  }
  try {
    return decompressor(bytes, { maxOutputLength: request.maxBytes });
  } catch (thrown) {
    if (errnoOf(thrown) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(request);
    if (errnoOf(thrown) === 'Z_BUF_ERROR')
      throw httpFailure(request, 'http.truncated', 'the compressed answer is cut');
    throw httpFailure(request, 'http.encoding', `the answer is not valid ${encoding}`);
  }
}

function tooLarge(request: HttpRequest): SidecarError {
  return httpFailure(request, 'http.too-large', `the answer is larger than ${request.maxBytes} bytes`);
}
