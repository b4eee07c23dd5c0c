// Reads the body of an answer: never more than allowed, whole or not at all, decompressed strictly.
import type { Readable } from 'node:stream';
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import { errnoOf, type SidecarError } from '../errors.ts';
import { httpFailure } from './failure.ts';
import type { HttpRequest } from './http.ts';

/** Carries, as its cause, what went wrong after the head of the answer was there. */
export class BodyError extends Error {}

/** The decompressed body. Throws a BodyError, or a SidecarError (`http.too-large`, `http.truncated`, `http.encoding`). */
export async function readBody(stream: Readable, encoding: string, request: HttpRequest): Promise<Buffer> {
  const { bytes, cut } = await collect(stream, request.maxBytes);
  if (cut && request.truncate === true) return bytes.subarray(0, request.maxBytes);
  if (cut) throw tooLarge(request);
  return decompress(bytes, encoding.trim().toLowerCase(), request);
}

async function collect(stream: Readable, maxBytes: number): Promise<{ bytes: Buffer; cut: boolean }> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      chunks.push(chunk);
      if (size > maxBytes) break;
    }
  } catch (thrown) {
    throw new BodyError('The body could not be read', { cause: thrown });
  }
  return { bytes: Buffer.concat(chunks), cut: size > maxBytes };
}

const DECOMPRESSORS = new Map([
  ['gzip', gunzipSync],
  ['x-gzip', gunzipSync],
  ['deflate', inflateSync],
  ['br', brotliDecompressSync],
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
