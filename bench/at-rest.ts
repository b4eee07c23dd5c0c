// What sources without a server of their own weigh at rest: git, whose fetch is a child that ends, and a file.
import * as fs from 'node:fs';
import { join } from 'node:path';
import { createRepository } from '../test/support/servers/git.ts';
import { type Memory, memoryOf, root, sleep, startApplication, startSidecar, until } from './stage.ts';

/** Some seconds after its last work the engine gives back what it took for the start. */
const REST_MS = 30_000;

/** Follows a repository by its path, until it has been asked many times. */
export async function measureGitMemory(): Promise<Memory> {
  const repository = createRepository();
  repository.commit({ 'value.txt': 'start' });
  try {
    return await measureAtRest(`git+file://${repository.bare}?path=value.txt`);
  } finally {
    repository.remove();
  }
}

/** Follows a file: what every source costs. */
export async function measureFileMemory(): Promise<Memory> {
  const file = join(fs.mkdtempSync(join(root, 'file-')), 'value.txt');
  fs.writeFileSync(file, 'start');
  return await measureAtRest(file);
}

async function measureAtRest(source: string): Promise<Memory> {
  const app = await startApplication();
  const child = startSidecar({
    SOURCE: source,
    OUTPUT: app.file,
    STATE_DIR: fs.mkdtempSync(join(root, 'state-')),
    APP_PROCESS: `/${app.title}/`,
    LISTEN: '127.0.0.1:0',
    UPDATE_FREQUENCY: '1s',
  });
  await until('the first reload', () => app.seen.length > 0);
  await sleep(REST_MS);
  const rest = memoryOf(child.pid ?? 0);
  child.kill();
  return rest;
}
