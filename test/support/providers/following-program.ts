// A program that follows a file with the real provider and the real loop, and prints one JSON line for each piece of
// news: the test starts it where the system refuses to watch anything. Its arguments: a path, an interval in milliseconds.
import { watch } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../../../src/lib/errors.ts';
import { openFile } from '../../../src/source/file-source.ts';
import { parseFileUrl } from '../../../src/source/file-url.ts';
import { followOne } from '../../../src/source/follower.ts';

const [path = '', intervalMs = ''] = process.argv.slice(2);

function say(line: Readonly<Record<string, string | null>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function watchFailure(): string | null {
  try {
    watch(dirname(path)).close();
    return null;
  } catch (thrown) {
    return errnoOf(thrown) ?? String(thrown);
  }
}

const ending = new AbortController();
process.on('SIGTERM', () => ending.abort());
say({ watchFailure: watchFailure() });
const provider = openFile(parseFileUrl(path, '/'), {
  updateFrequencyMs: Number(intervalMs),
  fetchTimeoutMs: 5_000,
  maxBytes: 1_000_000,
  setting: () => undefined,
  proxyEnv: {},
});
const { done } = followOne(provider, {
  signal: ending.signal,
  now: Date.now,
  random: Math.random,
  onNews: ({ snapshot, error }, news) => {
    if (news === 'down') say({ down: error?.code ?? null });
    if (news !== 'snapshot' || snapshot === null) return;
    const { content } = snapshot;
    say({ text: content.kind === 'document' ? Buffer.from(content.bytes).toString() : null });
  },
});
await done;
