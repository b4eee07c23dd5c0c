// Setup of the unit tests: a test that starts a process or listens on a port is not a unit test, and fails.
import childProcess from 'node:child_process';
import dgram from 'node:dgram';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { afterEach } from 'vitest';

const REASON = 'A unit test starts no process and no server: move it to test/real.';

let done: string | null = null;

/** Replaces a function by one that fails the test, also when the code under test catches what it throws. */
function forbid<T extends object>(owner: T, name: keyof T & string): void {
  Object.assign(owner, {
    [name]: () => {
      done = name;
      throw new Error(`${name}: ${REASON}`);
    },
  });
}

for (const name of ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync'] as const) {
  forbid(childProcess, name);
}
forbid(net.Server.prototype, 'listen');
forbid(dgram.Socket.prototype, 'bind');
// Named imports of these modules are copies.
syncBuiltinESMExports();

afterEach(() => {
  const name = done;
  done = null;
  if (name !== null) throw new Error(`${name}: ${REASON}`);
});
