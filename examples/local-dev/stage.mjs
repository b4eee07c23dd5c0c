// What the demo plays on: a folder, the two processes, what they print, and an end that leaves nothing behind.
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const PATIENCE_MS = 20_000;
const NAME_WIDTH = 7;

/** Makes the folder, with copies of `config.yaml` and `schema.json` and an empty `live/`. */
export function openStage() {
  const folder = mkdtempSync(join(tmpdir(), 'config-sidecar-demo-'));
  for (const name of ['config.yaml', 'schema.json']) cpSync(join(HERE, name), join(folder, name));
  mkdirSync(join(folder, 'live'));
  const heard = [];
  const listeners = new Set();
  const children = new Map();
  let isEnding = false;
  let from = 0;
  // Also when the demo itself is at fault.
  process.once('exit', () => {
    for (const { child } of children.values()) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  /** Prints a line of one of the processes, without the folder's name in paths. */
  const say = (who, text) => {
    const short = text
      .replaceAll(`file://${folder}/`, '')
      .replaceAll(`${folder}/`, '')
      .replaceAll(basename(folder), 'demo');
    console.log(`  ${who.padEnd(NAME_WIDTH)} | ${short}`);
  };

  const hear = (line) => {
    heard.push(line);
    for (const listener of [...listeners]) listener();
  };

  /** Starts `node` with these words; `toText` turns each line it prints into a sentence, or null for none. */
  const start = (who, words, { env = {}, toText = (line) => line } = {}) => {
    const stdio = ['ignore', 'pipe', 'pipe'];
    const child = spawn(process.execPath, words, {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
      stdio,
    });
    const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)));
    children.set(who, { child, ended });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        const sentence = toText(line);
        if (sentence !== null) say(who, sentence);
        hear({ who, line });
      });
    }
    void ended.then((how) => {
      if (!isEnding) hear({ who, line: '', ended: how });
    });
  };

  /** What is expected from here on must be said from here on. */
  const mark = () => {
    from = heard.length;
  };

  /** Resolves when a process has printed a line that `matches` accepts; rejects when that takes too long, or a process ends. */
  const expect = (what, who, matches) =>
    new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(timer);
        listeners.delete(look);
        settle(value);
      };
      const look = () => {
        const end = heard.find(({ ended }) => ended !== undefined);
        if (heard.slice(from).some((one) => one.who === who && matches(one.line))) finish(resolve);
        else if (end)
          finish(reject, new Error(`waiting for: ${what}; but ${end.who} ended with ${end.ended}`));
      };
      const timer = setTimeout(
        () => finish(reject, new Error(`waited ${PATIENCE_MS / 1000} s in vain for: ${what}`)),
        PATIENCE_MS,
      );
      listeners.add(look);
      look();
    });

  /** Ends both processes and removes the folder. Resolves to how each one ended. */
  const close = async () => {
    isEnding = true;
    for (const { child } of children.values()) child.kill('SIGTERM');
    const ends = await Promise.all([...children].map(async ([who, { ended }]) => [who, await ended]));
    rmSync(folder, { recursive: true, force: true });
    return Object.fromEntries(ends);
  };

  return { folder, heard, say, start, mark, expect, close };
}

/** A free port of the loopback interface. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
