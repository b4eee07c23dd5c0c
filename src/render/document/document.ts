// Bytes to value and back, in any format. A document may be large: the loop goes on meanwhile.
import { randomUUID } from 'node:crypto';
import { inSlices } from '../../lib/slices.ts';
import { decoding, encoding, faultOf, type HeavyFormat, type Task } from '../worker/protocol.ts';
import { runTask } from '../worker/run.ts';
import { checkAtOnce, parseAtOnce, serialiseAtOnce } from './at-once.ts';
import { parsingEnv } from './env.ts';
import type { ParsedFormat } from './format.ts';
import { FormatError } from './format-error.ts';
import { parsingIni } from './ini.ts';
import { parsingJson, writingJson } from './json.ts';
import { parsingProperties } from './properties.ts';
import { decodeText, encodeText, encodeWhole } from './text.ts';
import { countValues, type Value } from './value.ts';

/** From this size on YAML and TOML are read in a thread; below it takes milliseconds, whatever it holds. */
const LARGE_BYTES = 256 * 1024;
/** From here on all but JSON, which is written in slices, is written in a thread. */
const LARGE_VALUES = 10_000;

/**
 * Reads a document.
 * @throws FormatError when it is not UTF-8 or not of this format, with line and column where known; content is not quoted.
 */
export async function parseDocument(bytes: Uint8Array, format: ParsedFormat): Promise<Value> {
  const text = textOf(bytes);
  switch (format) {
    case 'json':
      return inSlices(parsingJson(text));
    case 'ini':
      return inSlices(parsingIni(text));
    case 'env':
      return inSlices(parsingEnv(text));
    case 'properties':
      return inSlices(parsingProperties(text));
    default:
      return bytes.length < LARGE_BYTES ? parseAtOnce(text, format) : parseLarge(text, format);
  }
}

async function parseLarge(text: string, format: HeavyFormat): Promise<Value> {
  const mark = randomUUID();
  const json = decodeText(await runHeavy({ kind: 'parse', format, bytes: encodeWhole(text), mark })) ?? '';
  const { TomlDate } = await import('smol-toml');
  return inSlices(decoding(json, mark, (date) => new TomlDate(date)));
}

/**
 * Writes a document. Line formats refuse every value that a reader could take for another line or key.
 * @throws FormatError with the path of a value that the format cannot hold.
 */
export async function serialiseDocument(value: Value, format: ParsedFormat): Promise<Uint8Array> {
  if (format === 'json') return encodeText(`${await inSlices(writingJson(value))}\n`);
  if (countValues(value, LARGE_VALUES) < LARGE_VALUES) {
    return encodeText(await serialiseAtOnce(value, format));
  }
  const mark = randomUUID();
  const json = encodeWhole(await inSlices(encoding(value, mark)));
  return runHeavy({ kind: 'serialise', format, json, mark });
}

/**
 * Makes sure that a reader of JSON, YAML or TOML can read a file; other formats are not looked at. YAML may hold
 * several documents and tags of an application's own.
 * @throws FormatError with line and column where known.
 */
export async function checkDocument(bytes: Uint8Array, format: ParsedFormat): Promise<void> {
  if (format === 'json') await parseDocument(bytes, format);
  else if (format === 'yaml' || format === 'toml') {
    const text = textOf(bytes);
    if (bytes.length < LARGE_BYTES) await checkAtOnce(text, format);
    else await runHeavy({ kind: 'check', format, bytes: encodeWhole(text) });
  }
}

async function runHeavy(task: Task): Promise<Uint8Array> {
  const answer = await runTask(task);
  if (answer.kind === 'fault') throw faultOf(answer.fault);
  if (answer.kind !== 'bytes') throw new Error('the thread for documents gave another answer');
  return answer.bytes;
}

function textOf(bytes: Uint8Array): string {
  const text = decodeText(bytes);
  if (text === null) throw new FormatError('it is not UTF-8 text');
  return text;
}
