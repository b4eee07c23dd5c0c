// The image as tests run it: built from the Dockerfile and the built program, with volumes for a user without a name.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'vitest';
import { DIST } from '../../e2e/sidecar.ts';
import type { Podman } from '../../servers/podman.ts';
import { nodeImage } from '../images.ts';

const PROJECT = new URL('../../../..', import.meta.url).pathname;

/** Neither root nor a user the image knows. */
export const UID = 34_567;

const LOCKED_DOWN_BUT_CONNECTED: readonly string[] = [
  ...['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--user', `${UID}:${UID}`],
];

/** Words for `podman run`, as strict as a cluster's policy can be; there is no network. */
export const LOCKED_DOWN: readonly string[] = [...LOCKED_DOWN_BUT_CONNECTED, '--network', 'none'];

/** The same with this machine's network, for servers of the test. */
export const LOCKED_DOWN_ON_HOST: readonly string[] = [...LOCKED_DOWN_BUT_CONNECTED, '--network', 'host'];

/** Where the program lies in the image. */
export const MAIN = '/opt/config-sidecar/dist/main.js';

export interface BuiltImage {
  readonly podman: Podman;
  readonly image: string;
  /** What it was built from. */
  readonly base: string;
  remove(): Promise<void>;
}

/** Builds the image from a base made of this machine's Node.js. The build has no network. */
export async function buildImage(podman: Podman): Promise<BuiltImage> {
  const image = `localhost/image-test-sidecar-${process.pid}`;
  const base = await nodeImage(podman);
  const options = ['--format', 'docker', '--network', 'none', '--build-arg', `NODE_IMAGE=${base}`];
  const files = ['-f', join(PROJECT, 'Dockerfile'), '--ignorefile', join(PROJECT, '.dockerignore')];
  // The built program may lie elsewhere; it has its package.json beside it.
  await podman.must('build', ...options, ...files, '-t', image, dirname(DIST));
  return { podman, image, base, remove: async () => void (await podman.run('rmi', '-f', image)) };
}

/** Starts a container that runs on, and removes it after the test. Gives its id. */
export async function startContainer(
  { onTestFinished }: TestContext,
  podman: Podman,
  ...words: readonly string[]
): Promise<string> {
  const id = (await podman.must('run', '-d', ...words)).trim();
  onTestFinished(async () => void (await podman.run('rm', '-f', '-t', '0', id)));
  return id;
}

/** The number, on this machine, of a container's first process. */
export async function firstProcess(podman: Podman, id: string): Promise<number> {
  return Number(await podman.must('inspect', id, '--format', '{{.State.Pid}}'));
}

export interface Volumes {
  /** Mounts, and the settings that name them. */
  readonly flags: readonly string[];
  /** The folder that is read. */
  readonly input: string;
  /** The folder that is written. */
  readonly live: string;
}

/** Two volumes: `/in` to read, with these files, and `/live` to write. The source is `/in/app.yaml`. */
export function createVolumes(
  { onTestFinished }: TestContext,
  files: Readonly<Record<string, string | Buffer>>,
): Volumes {
  const folder = mkdtempSync(join(tmpdir(), 'image-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [input, live] = [join(folder, 'in'), join(folder, 'live')];
  chmodSync(folder, 0o755);
  for (const path of [input, live]) mkdirSync(path);
  chmodSync(live, 0o777);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(input, name), content);
  const mounts = ['-v', `${input}:/in:ro`, '-v', `${live}:/live`];
  const flags = [...mounts, ...variables({ SOURCE: '/in/app.yaml', OUTPUT: '/live/app.json' })];
  return { flags, input, live };
}

/** Words for `podman run` that set environment variables; of two with one name the later counts. */
export function variables(values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(values).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
}
