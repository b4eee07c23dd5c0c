// The heavy work itself, in one go.
import { Buffer } from 'node:buffer';
import { atOnce } from '../../lib/slices.ts';
import { checkAtOnce, parseAtOnce, serialiseAtOnce } from '../document/at-once.ts';
import { formatOfName } from '../document/format.ts';
import { describeFormatError, FormatError } from '../document/format-error.ts';
import { decoding, describedFault, encoding, type Task, type TaskAnswer } from './protocol.ts';

/** Does a task. What the document or the schema is to blame for is an answer too. */
export async function perform(task: Task): Promise<TaskAnswer> {
  try {
    if (task.kind === 'validate') return await validate(task);
    return { kind: 'bytes', bytes: await work(task) };
  } catch (thrown) {
    // Texts that are too long, and stacks that are too deep, are the document's fault as well.
    const fault = thrown instanceof FormatError ? thrown : new FormatError(reasonOf(thrown));
    return { kind: 'fault', fault: describedFault(fault) };
  }
}

async function work(task: Exclude<Task, { kind: 'validate' }>): Promise<Uint8Array> {
  switch (task.kind) {
    case 'check':
      await checkAtOnce(textOf(task.bytes), task.format);
      return new Uint8Array(0);
    case 'parse':
      return encoded(atOnce(encoding(await parseAtOnce(textOf(task.bytes), task.format), task.mark)));
    case 'serialise': {
      const { TomlDate } = await import('smol-toml');
      const value = atOnce(decoding(textOf(task.json), task.mark, (text) => new TomlDate(text)));
      return encoded(await serialiseAtOnce(value, task.format));
    }
  }
}

async function validate({ name, schema, json }: Task & { kind: 'validate' }): Promise<TaskAnswer> {
  const { compileSchema, violationsIn } = await import('../schema.ts');
  let compiled: Awaited<ReturnType<typeof compileSchema>>;
  try {
    compiled = await compileSchema(await parseAtOnce(textOf(schema), formatOfName(name) ?? 'json'));
  } catch (thrown) {
    return {
      kind: 'bad-schema',
      reason: thrown instanceof FormatError ? describeFormatError(thrown) : reasonOf(thrown),
    };
  }
  return { kind: 'violations', violations: violationsIn(compiled, JSON.parse(textOf(json))) };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

/** Never from the pool of small buffers: it is handed over. */
function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
