// What a document says: which format it is in, the part a JSON Pointer leads to, and the document that a text there holds.
import { SidecarError } from '../lib/errors.ts';
import type { Content } from '../source/provider.ts';
import { parseDocument } from './document/document.ts';
import {
  explainUnknown,
  formatOfDocument,
  formatOfName,
  isParsed,
  type ParsedFormat,
  type SourceFormat,
  titleOf,
} from './document/format.ts';
import { describeFormatError, FormatError } from './document/format-error.ts';
import { lastNameOf, resolvePointer } from './document/pointer.ts';
import { Bytes } from './document/special.ts';
import { decodeText, encodeText } from './document/text.ts';
import type { Value } from './document/value.ts';

export type DocumentContent = Content & { readonly kind: 'document' };

export interface DocumentOptions {
  /** SOURCE_FORMAT: what a document is when neither its name nor its content type says it. */
  readonly sourceFormat?: SourceFormat | undefined;
  /** The source as it may be shown. */
  readonly source: string;
}

/** A document, or the part of one that counts. */
export interface OpenedDocument {
  /** Its bytes as they came; null for a part that is no document of its own. */
  readonly bytes: Uint8Array | null;
  /** What the bytes are; null when they cannot be looked into. */
  readonly format: ParsedFormat | null;
  /** @throws SidecarError `render.format`, `render.document` or `render.pointer`. Reads at every call. */
  readonly read: () => Promise<Value>;
}

/**
 * Opens a document. Nothing is parsed yet, unless a pointer ends at a name with a known extension (`#/data/app.yaml`):
 * a text there is a document of its own.
 */
export async function openDocument(
  content: DocumentContent,
  options: DocumentOptions,
): Promise<OpenedDocument> {
  const format = formatOfDocument(content, options.sourceFormat);
  const shown = `document "${content.name}" of "${options.source}"`;
  const pointer = content.pointer ?? '';
  const readWhole = () => readAs(content, format, shown);
  if (pointer === '') return { ...parsedOrNull(format), bytes: content.bytes, read: readWhole };
  const readPart = async () => partOf(await readWhole(), pointer, shown);
  const inner = formatOfName(lastNameOf(pointer));
  const part = inner === undefined ? undefined : await readPart();
  if (inner === undefined || typeof part !== 'string') {
    return { ...parsedOrNull(format), bytes: null, read: readPart };
  }
  const bytes = encodeText(part);
  const read = () => parseShown(bytes, inner, `the text at "${pointer}" in ${shown}`);
  return { format: inner, bytes, read };
}

function parsedOrNull(format: SourceFormat | undefined): Pick<OpenedDocument, 'format'> {
  return { format: isParsed(format) ? format : null };
}

async function readAs(
  content: DocumentContent,
  format: SourceFormat | undefined,
  shown: string,
): Promise<Value> {
  if (format === undefined) {
    throw refuse('render.format', `Cannot look into ${shown}: ${explainUnknown(content)}`);
  }
  if (format === 'bytes') return new Bytes(content.bytes);
  if (format !== 'text') return parseShown(content.bytes, format, shown);
  const text = decodeText(content.bytes);
  if (text === null) throw refuse('render.document', `Cannot read ${shown} as text: it is not UTF-8 text`);
  return text;
}

async function parseShown(bytes: Uint8Array, format: ParsedFormat, shown: string): Promise<Value> {
  try {
    return await parseDocument(bytes, format);
  } catch (thrown) {
    if (!(thrown instanceof FormatError)) throw thrown;
    const reason = `as ${titleOf(format)}: ${describeFormatError(thrown)}`;
    throw refuse('render.document', `Cannot read ${shown} ${reason}`, thrown);
  }
}

function partOf(value: Value, pointer: string, shown: string): Value {
  try {
    return resolvePointer(value, pointer);
  } catch (thrown) {
    if (!(thrown instanceof FormatError)) throw thrown;
    const message = `Cannot find "${pointer}" in ${shown}: ${thrown.message}`;
    throw refuse('render.pointer', message, thrown);
  }
}

function refuse(code: string, message: string, cause?: unknown): SidecarError {
  return new SidecarError(message, { code, stage: 'render', cause });
}
