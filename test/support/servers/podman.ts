// Containers for tests, by a real podman, and a base image with Node.js that is made from this machine: none is pulled.
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { serverBinary } from './prerequisites.ts';

const run = promisify(execFile);

/** Longest time one podman command may take. */
const PATIENCE_MS = 120_000;

// crun, podman's own choice, fails on a machine whose cgroup trees are both of the old and the new kind.
const CONFIGURATION = `[containers]
default_ulimits=["nofile=20000:20000","nproc=20000:20000"]
[engine]
runtime="runc"
events_logger="file"
`;

export interface Podman {
  /** Runs podman with these words. Resolves in every case. */
  run(
    ...words: string[]
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;
  /** The same for what must succeed; gives what it printed. */
  must(...words: string[]): Promise<string>;
  /**
   * Makes an image `FROM scratch` with this Node.js (or another one's binary), tini, a shell, mkfifo, the libraries they need and
   * the user root, and nothing else.
   */
  makeNodeImage(tag: string, node?: string): Promise<void>;
  /** Removes our configuration; images and containers are the caller's to remove. */
  close(): void;
}

/** Podman with a configuration of its own, so that the machine's is neither needed nor changed. */
export function openPodman(): Podman {
  const folder = mkdtempSync(join(tmpdir(), 'podman-test-'));
  const configuration = join(folder, 'containers.conf');
  writeFileSync(configuration, CONFIGURATION);
  const options = {
    env: { ...process.env, CONTAINERS_CONF: configuration },
    timeout: PATIENCE_MS,
    maxBuffer: 16 * 1024 * 1024,
  };

  const runPodman: Podman['run'] = async (...words) => {
    try {
      return { code: 0, ...(await run('podman', words, options)) };
    } catch (thrown) {
      const {
        code,
        stdout = '',
        stderr = '',
      } = thrown as { code?: number; stdout?: string; stderr?: string };
      return { code: code ?? -1, stdout, stderr };
    }
  };
  const must: Podman['must'] = async (...words) => {
    const { code, stdout, stderr } = await runPodman(...words);
    if (code !== 0) throw new Error(`podman ${words.join(' ')} ended with ${code}\n${stdout}${stderr}`);
    return stdout;
  };

  const makeNodeImage: Podman['makeNodeImage'] = async (tag, node = process.execPath) => {
    const tini = serverBinary('tini');
    const root = mkdtempSync(join(folder, 'root-'));
    const archive = `${root}.tar`;
    for (const name of ['etc', 'tmp']) mkdirSync(join(root, name));
    writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/false\n');
    layOutProgram(root, node, '/usr/local/bin/node');
    layOutProgram(root, tini, '/usr/bin/tini');
    layOutProgram(root, '/bin/sh', '/bin/sh');
    layOutProgram(root, '/usr/bin/mkfifo', '/usr/bin/mkfifo');
    chmodSync(root, 0o755);
    await run('tar', ['-C', root, '-cf', archive, '.']);
    await must('import', '--change', 'ENV PATH=/usr/local/bin:/usr/bin:/bin', archive, tag);
    rmSync(root, { recursive: true });
    rmSync(archive);
  };

  return {
    run: runPodman,
    must,
    makeNodeImage,
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Puts a program of this machine and the libraries it is linked with into the folder an image is made of. */
function layOutProgram(root: string, program: string, path: string): void {
  const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+(?= \(0x)/g) ?? [];
  for (const [from, to] of [[program, path], ...libraries.map((library) => [library, library])] as const) {
    mkdirSync(join(root, dirname(to)), { recursive: true });
    cpSync(realpathSync(from), join(root, to));
  }
}
