// When no process is found because processes are hidden, the reason says so and names the remedy.
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { compile } from '../../../support/publish/programs.ts';

/** What a look-up says in a process namespace of its own, with `/proc` mounted like this. */
function lookApart(
  context: { onTestFinished: (end: () => void) => void },
  mountOptions: string,
  selector: object = { name: 'no-such-program' },
): unknown {
  const program = compile('application/process/look-program.ts');
  context.onTestFinished(program.remove);
  // Without root the same goes through a user namespace.
  const own = process.getuid?.() === 0 ? '-pfm' : '-rpfm';
  const script = 'mount -t proc -o "$1" proc /proc && shift && "$@"; exit $?';
  const words = [mountOptions, process.execPath, program.path, JSON.stringify(selector)];
  const printed = execFileSync('unshare', [own, 'sh', '-c', script, 'sh', ...words], { encoding: 'utf8' });
  return JSON.parse(printed);
}

test('a process namespace that is not shared', (context) => {
  expect(lookApart(context, 'rw')).toEqual({
    kind: 'none',
    reason:
      'no process is named "no-such-program" (no other process is visible: share the process namespace (shareProcessNamespace: true), or use RELOAD_URL)',
  });
});

test('a pod runtime that shows no names of containers', (context) => {
  expect(lookApart(context, 'rw', { container: 'web' })).toEqual({
    kind: 'none',
    reason: expect.stringMatching(
      /^this pod runtime does not show container names; use APP_PROCESS or APP_PID_FILE instead of APP_CONTAINER/,
    ),
  });
});

test.each(['1', '2'])('/proc mounted with hidepid=%s', (value) => {
  const ends: (() => void)[] = [];
  try {
    expect(lookApart({ onTestFinished: (end) => void ends.push(end) }, `hidepid=${value}`)).toEqual({
      kind: 'none',
      reason:
        'no process is named "no-such-program" (processes are hidden: /proc is mounted with hidepid; give both containers the same user and group; no other process is visible: share the process namespace (shareProcessNamespace: true), or use RELOAD_URL)',
    });
  } finally {
    for (const end of ends) end();
  }
});
