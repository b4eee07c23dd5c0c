// podman-compose for tests: Debian's package, unpacked, run by this machine's Python.
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootOf } from '../servers/prerequisites.ts';

export interface Compose {
  /** Runs it with these words to its end; gives all it printed. */
  readonly run: (...words: string[]) => Promise<{ readonly code: number | null; readonly output: string }>;
}

export interface ComposeOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

// As in test/support/servers/podman.ts, whose file is its own.
const CONFIGURATION = `[containers]
default_ulimits=["nofile=20000:20000","nproc=20000:20000"]
[engine]
runtime="runc"
events_logger="file"
`;

/** Prepares it for a folder, into which podman's configuration is written. */
export function openCompose({ cwd, env }: ComposeOptions): Compose {
  const configuration = join(cwd, 'containers.conf');
  writeFileSync(configuration, CONFIGURATION);
  const root = rootOf('podman-compose');
  const modules = join(root, 'usr/lib/python3/dist-packages');
  const run: Compose['run'] = (...words) => {
    const child: ChildProcess = spawn('python3', [join(modules, 'podman_compose.py'), ...words], {
      cwd,
      env: {
        PATH: process.env['PATH'],
        PYTHONPATH: modules,
        PYTHONDONTWRITEBYTECODE: '1',
        CONTAINERS_CONF: configuration,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 60_000,
    });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output += chunk.toString();
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, output }));
    });
  };
  return { run };
}
