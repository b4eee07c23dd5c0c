// The built program follows etcd: what the client library reads at run time lies beside the bundle.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DIST } from '../../support/e2e/sidecar.ts';
import { type EtcdServer, startEtcd } from '../../support/servers/etcd.ts';

const run = promisify(execFile);

describe('of the faults of the library, the bundle', () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-sidecar-etcd-bundle-'));
  let server: EtcdServer;
  beforeAll(async () => {
    server = await startEtcd();
    await server.put('/bundle/k', 'v');
  });
  afterAll(async () => {
    await server.end();
    rmSync(folder, { recursive: true });
  });

  it('E18: the protocol files lie beside the bundle, wherever it is moved', async () => {
    const dist = join(folder, 'moved');
    cpSync(DIST, dist, { recursive: true });
    const output = join(folder, 'out.json');
    const env = {
      PATH: process.env['PATH'],
      SOURCE: `etcd://127.0.0.1:${server.port}/bundle/`,
      OUTPUT: output,
      LISTEN: 'off',
    };
    await run(process.execPath, [join(dist, 'main.js'), 'once'], { env, cwd: folder });
    expect(JSON.parse(readFileSync(output, 'utf8'))).toEqual({ k: 'v' });
  });
});
