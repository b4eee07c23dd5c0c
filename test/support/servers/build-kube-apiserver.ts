// Builds a real Kubernetes API server out of Go modules, once, into the cache. It takes up to a quarter of an hour.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CACHE } from './cache.ts';
import { executable, findOnPath } from './find-program.ts';

const SOURCES = join(import.meta.dirname, 'kube-apiserver');
const FILES = ['go.mod', 'go.sum', 'main.go'];
const BUILD = ['build', '-trimpath', '-ldflags', '-s -w', '-o'];

/** Absolute path of the program, which is named after what it is built from. */
export function kubeApiserver(): string {
  const key = createHash('sha256').update(BUILD.join(' '));
  for (const file of FILES) key.update(readFileSync(join(SOURCES, file)));
  return join(CACHE, `kube-apiserver-${key.digest('hex').slice(0, 12)}`, 'kube-apiserver');
}

/** Older ones do not fetch the Go that go.mod asks for. */
const OLDEST_GO = 21;

/** A sentence when it is not there and cannot be built. */
export async function whyNoKubeApiserver(path: string): Promise<readonly string[]> {
  if (executable(kubeApiserver()) !== undefined) return [];
  const found = findOnPath('go', path);
  const version = found === undefined ? '' : (await promisify(execFile)(found, ['version'])).stdout;
  const [, minor = '0'] = /go1\.(\d+)/.exec(version) ?? [];
  if (Number(minor) >= OLDEST_GO) return [];
  const what = found === undefined ? 'Go is not installed' : `"${found}" is too old`;
  return [
    `Cannot build a Kubernetes API server, which these tests need: ${what}. Install Go 1.${OLDEST_GO} or later (https://go.dev/dl/) and put "go" on PATH.`,
  ];
}

/**
 * Builds it unless it is there.
 * @param path PATH without the programs that the tests fetched: a Go of theirs is too old.
 */
export async function buildKubeApiserver(path: string): Promise<void> {
  const program = kubeApiserver();
  if (executable(program) !== undefined) return;
  console.log('Building a Kubernetes API server, once; this takes 8 to 16 minutes on two cores.');
  const unfinished = `${CACHE}/kube-apiserver.${process.pid}.tmp`;
  const startedAt = performance.now();
  try {
    mkdirSync(unfinished, { recursive: true });
    for (const file of FILES) cpSync(join(SOURCES, file), join(unfinished, file));
    await go([...BUILD, join(unfinished, 'kube-apiserver'), '.'], unfinished, path);
    const folder = join(program, '..');
    rmSync(folder, { recursive: true, force: true });
    renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  console.log(`  built in ${Math.round((performance.now() - startedAt) / 1_000)} s`);
}

function go(words: readonly string[], cwd: string, path: string): Promise<void> {
  const { GOROOT: _root, GOFLAGS: _flags, ...env } = process.env;
  const child = spawn('go', words, {
    cwd,
    env: { ...env, PATH: path, CGO_ENABLED: '0' },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4_000);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) return resolve();
      reject(new Error(`Cannot build the Kubernetes API server: "go build" ended with ${code}\n${errors}`));
    });
  });
}
