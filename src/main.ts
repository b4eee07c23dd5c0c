#!/usr/bin/env node
// The composition root: argv, environment, signals, exit code.
import * as fs from 'node:fs';
import { hostname } from 'node:os';
import { isatty } from 'node:tty';
import packageJson from '../package.json' with { type: 'json' };
import { onlyInterpret } from './lib/engine.ts';

/** SIGTERM ends the process within a second, whatever a hook or a disk is doing; what is undone is owed. */
const END_WITHIN_MS = 900;

/** For a reader of the log that is slow; one that does not read at all must not hold up the end. */
const LAST_LINES_MS = 200;

onlyInterpret();

const ending = new AbortController();
const syncListeners: (() => void)[] = [];

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    ending.abort();
    setTimeout(() => process.exit(0), END_WITHIN_MS).unref();
  });
}
process.on('SIGHUP', () => {
  for (const listener of syncListeners) listener();
});
// Some will send these signals to "node"; unhandled, the first opens a debugger port and the second kills.
for (const signal of ['SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});

const argv = process.argv.slice(2);
// What `ps` shows: a name that is found, and no flags, which may hold secrets.
process.title = 'config-sidecar';
// Libraries' notes to their developers would only break the log.
process.noDeprecation = true;
// As they were given: commands of the user's are to get them so.
const env = { ...process.env };
// The library below etcd3 writes to standard error by itself.
process.env['GRPC_VERBOSITY'] ??= 'NONE';

// Loaded only now: until the handlers above are there, a SIGHUP would kill.
const { runCli } = await import('./cli/cli.ts');
const { flushLog } = await import('./lib/log.ts');

process.exitCode = await runCli({
  argv,
  env,
  cwd: workingDirectory(),
  version: packageJson.version,
  instance: process.env['HOSTNAME'] || hostname(),
  isTerminal: isatty(1),
  isErrorTerminal: isatty(2),
  print: (text) => write(1, text),
  printError: (text) => write(2, text),
  ending: ending.signal,
  onSync: (listener) => syncListeners.push(listener),
});
await flushLog(LAST_LINES_MS);
process.exit();

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    write(2, 'Cannot start: the working directory was removed. Start it in one that exists.\n');
    process.exit(2);
  }
}

/** A reader that has gone is no reason to fail. */
function write(fd: number, text: string): void {
  try {
    fs.writeFileSync(fd, text);
  } catch {}
}
