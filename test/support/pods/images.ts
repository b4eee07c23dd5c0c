// Images of the pods in tests: the sidecar's by its real Dockerfile, and those of real servers out of Debian packages.
import { execFile } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DIST } from '../e2e/sidecar.ts';
import { openPodman, type Podman } from '../servers/podman.ts';
import { addPrograms, layOut, type Program, type ProgramName } from './programs.ts';
import { sharedImage } from './shared-images.ts';

const run = promisify(execFile);

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** The images of one test file; those of the same content are shared by all files of a run. */
export interface Images {
  readonly podman: Podman;
  /** The sidecar as the Dockerfile makes it. */
  readonly sidecar: string;
  /** The same with git and ssh, by `--target git`; made when it is asked for first. */
  readonly sidecarWithGit: () => Promise<string>;
  /** Node.js and a shell. */
  readonly node: string;
  /** Makes an image with these programs and a shell; gives its name. */
  readonly server: (...programs: readonly (ProgramName | Program)[]) => Promise<string>;
  /** Makes the sidecar's image with further programs in it, as for a checker; gives its name. */
  readonly sidecarWith: (...programs: readonly (ProgramName | Program)[]) => Promise<string>;
  /** Removes what this file needed to make them. */
  readonly remove: () => Promise<void>;
}

/** What `--target git` installs, as a base that has it already. */
const GIT: readonly Program[] = [
  { set: 'git', paths: ['usr/bin/git', 'usr/bin/git-upload-pack', 'usr/lib/git-core/git-remote-http'] },
  { set: 'ssh', paths: ['usr/bin/ssh'] },
];

/** A base image made of this machine's Node.js. */
export function nodeImage(podman: Podman): Promise<string> {
  return sharedImage('node', (tag) => podman.makeNodeImage(tag));
}

/** Builds the sidecar's image, from a base image made of this machine's Node.js. */
export async function openImages(): Promise<Images> {
  const podman = openPodman();
  const folder = mkdtempSync(join(tmpdir(), 'images-test-'));
  const build = async (
    tag: string,
    context: string,
    base: string,
    ...more: readonly string[]
  ): Promise<void> => {
    const flags = [
      '--network',
      'none',
      '--format',
      'docker',
      '--layers=false',
      '--build-arg',
      `NODE_IMAGE=${base}`,
    ];
    await podman.must('build', ...flags, ...more, '-t', tag, context);
  };

  const node = await nodeImage(podman);
  const context = join(folder, 'sidecar');
  mkdirSync(context);
  for (const name of ['Dockerfile', 'package.json']) cpSync(join(ROOT, name), join(context, name));
  cpSync(DIST, join(context, 'dist'), { recursive: true });
  const sidecar = await sharedImage('sidecar', (tag) => build(tag, context, node));

  const importServer = async (tag: string, programs: readonly (ProgramName | Program)[]): Promise<void> => {
    const root = mkdtempSync(join(folder, 'root-'));
    chmodSync(root, 0o755);
    await layOut(root, programs);
    const archive = `${root}.tar`;
    await run('tar', ['-C', root, '--owner=0', '--group=0', '-cf', archive, '.']);
    await podman.must('import', '--change', 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin', archive, tag);
  };
  const addToSidecar = async (tag: string, programs: readonly (ProgramName | Program)[]): Promise<void> => {
    const root = mkdtempSync(join(folder, 'more-'));
    await addPrograms(join(root, 'files'), programs);
    writeFileSync(join(root, 'Dockerfile'), `FROM ${sidecar}\nCOPY files /\n`);
    await build(tag, root, node);
  };
  const makeNodeWithGit = async (tag: string): Promise<void> => {
    const root = mkdtempSync(join(folder, 'git-'));
    await addPrograms(join(root, 'files'), GIT);
    // In a container of Debian it is a link.
    symlinkSync('git-remote-http', join(root, 'files/usr/lib/git-core/git-remote-https'));
    writeFileSync(join(root, 'Dockerfile'), `FROM ${node}\nCOPY files /\n`);
    await build(tag, root, node);
  };
  const sidecarWithGit = async (): Promise<string> => {
    const base = await sharedImage('node with git', makeNodeWithGit);
    return sharedImage('sidecar with git', (tag) => build(tag, context, base, '--target', 'git'));
  };
  return {
    podman,
    sidecar,
    node,
    sidecarWithGit,
    server: (...programs) =>
      sharedImage(`server ${JSON.stringify(programs)}`, (tag) => importServer(tag, programs)),
    sidecarWith: (...programs) =>
      sharedImage(`sidecar ${JSON.stringify(programs)}`, (tag) => addToSidecar(tag, programs)),
    remove: async () => {
      podman.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
