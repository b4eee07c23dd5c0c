// Which process is the application: rules of choice on tables made by hand.
import { describe, expect, test } from 'vitest';
import type { ProcessRow } from '../../../../src/application/process/proc.ts';
import { type Selection, select } from '../../../../src/application/process/select.ts';
import type { ProcessView, Selector } from '../../../../src/application/process/selector.ts';

interface Made {
  readonly pid: number;
  readonly ppid?: number;
  readonly comm: string;
  readonly args?: readonly string[];
  readonly start?: number;
  readonly state?: string;
  readonly container?: string;
}

const SELF = 50;
const SIDECAR: Made = { pid: SELF, comm: 'node', args: ['node', '/sidecar/main.js'] };

/** Processes of one machine, this sidecar among them; `start` is the pid unless given. */
function choose(made: readonly Made[], selector: Selector, view: Partial<ProcessView> = {}): Selection {
  const all = made.some(({ pid }) => pid === SELF) ? made : [...made, SIDECAR];
  const rows = all.map(
    ({ pid, ppid = 1, comm, start = pid, state = 'S' }): ProcessRow => ({
      pid,
      ppid,
      comm,
      state,
      startTicks: start,
    }),
  );
  const find = (pid: number): Made | undefined => all.find((one) => one.pid === pid);
  return select(rows, selector, {
    self: SELF,
    arguments: (pid) => find(pid)?.args ?? [find(pid)?.comm ?? ''],
    container: (pid) => find(pid)?.container ?? 'one',
    containerName: (pid) => find(pid)?.container ?? null,
    isOwnCommand: () => false,
    isAboveUs: () => false,
    wasWrapper: () => false,
    receives: () => true,
    ...view,
  });
}

function pidOf(selection: Selection): number | string {
  return selection.kind === 'one' ? selection.process.pid : selection.kind;
}

const nginx = { name: 'nginx' };
const INIT: Made = { pid: 1, ppid: 0, comm: 'systemd' };

describe('a name', () => {
  test('is that of the kernel, of the program started, or of a rewritten title', () => {
    expect(pidOf(choose([INIT, { pid: 9, comm: 'nginx' }], nginx))).toBe(9);
    expect(pidOf(choose([INIT, { pid: 9, comm: 'main', args: ['/usr/sbin/nginx', '-g', 'x'] }], nginx))).toBe(
      9,
    );
    const title = ['nginx: master process /usr/sbin/nginx -g daemon off;'];
    expect(pidOf(choose([INIT, { pid: 9, comm: 'main', args: title }], nginx))).toBe(9);
  });

  test('is never part of one', () => {
    const others = [
      { pid: 9, comm: 'nginx-exporter' },
      { pid: 10, comm: 'sh', args: ['sh', '-c', 'nginx'] },
    ];
    expect(choose([INIT, ...others], nginx)).toEqual({
      kind: 'none',
      reason: 'no process is named "nginx"',
      wrappers: [],
    });
  });

  test('longer than the kernel keeps is compared whole', () => {
    const cut = 'prometheus-aler';
    const long = { name: 'prometheus-alertmanager' };
    const right = { pid: 9, comm: cut, args: ['/bin/prometheus-alertmanager'] };
    const wrong = { pid: 10, comm: cut, args: ['/bin/prometheus-alert-relay'] };
    expect(pidOf(choose([INIT, right, wrong], long))).toBe(9);
    expect(pidOf(choose([INIT, wrong], long))).toBe('none');
    expect(pidOf(choose([INIT, right], { name: cut }))).toBe('none');
    const script = { pid: 9, comm: cut, args: ['/usr/bin/python3', '/bin/prometheus-alertmanager'] };
    expect(pidOf(choose([INIT, script], long))).toBe(9);
  });

  test('of exactly the length that the kernel keeps is found', () => {
    expect(
      pidOf(
        choose([INIT, { pid: 9, comm: 'fifteen-letters', args: ['title'] }], { name: 'fifteen-letters' }),
      ),
    ).toBe(9);
  });

  test('does not find a thread of the kernel', () => {
    const machine = [
      INIT,
      { pid: 2, ppid: 0, comm: 'kthreadd', args: [] },
      { pid: 9, ppid: 2, comm: 'nginx', args: [] },
    ];
    expect(pidOf(choose(machine, nginx))).toBe('none');
  });
});

describe('of several matches', () => {
  test('the topmost is chosen, however old the others are', () => {
    const master = { pid: 9, comm: 'nginx', start: 900 };
    const workers = [
      { pid: 10, ppid: 9, comm: 'nginx', start: 901 },
      { pid: 7, ppid: 8, comm: 'nginx', start: 902 },
      { pid: 8, ppid: 9, comm: 'between', start: 902 },
    ];
    expect(pidOf(choose([INIT, ...workers, master], nginx))).toBe(9);
  });

  test('that are unrelated none is chosen, and all are named, oldest first', () => {
    const two = [
      { pid: 9, comm: 'nginx', start: 90 },
      { pid: 10, comm: 'nginx', start: 80 },
    ];
    const selection = choose([INIT, ...two], nginx);
    expect(selection).toMatchObject({
      kind: 'ambiguous',
      reason: 'several unrelated processes match: 10 (nginx), 9 (nginx)',
    });
    expect(selection.kind === 'ambiguous' && selection.processes.map(({ pid }) => pid)).toEqual([10, 9]);
  });

  const pod = [
    { pid: 1, ppid: 0, comm: 'pause', container: 'sandbox' },
    { ...SIDECAR, ppid: 0, container: 'ours' },
  ];

  test('in one other container the oldest is its main process, the others are probes', () => {
    const probe = { pid: 30, ppid: 0, comm: 'nginx', container: 'app' };
    const main = { pid: 40, ppid: 0, comm: 'nginx', container: 'app', start: 10 };
    expect(pidOf(choose([...pod, probe, main], nginx))).toBe(40);
  });

  test('in two other containers none is chosen', () => {
    const one = { pid: 30, ppid: 0, comm: 'nginx', container: 'app' };
    const two = { pid: 40, ppid: 0, comm: 'nginx', container: 'other' };
    expect(pidOf(choose([...pod, one, two], nginx))).toBe('ambiguous');
  });

  test('a table that closes a circle ends the search', () => {
    const circle = [
      { pid: 9, ppid: 10, comm: 'nginx' },
      { pid: 10, ppid: 9, comm: 'else' },
    ];
    expect(pidOf(choose([INIT, ...circle], nginx))).toBe(9);
  });
});

describe('never chosen is', () => {
  const left = (objection: string): Selection => ({
    kind: 'none',
    reason: `no process that may be notified is named "nginx": 9 (nginx) is ${objection}`,
    wrappers: [],
  });

  test('this sidecar', () => {
    expect(choose([INIT], { name: 'node' })).toEqual({
      kind: 'none',
      reason: 'no process that may be notified is named "node": 50 (node) is this sidecar itself',
      wrappers: [],
    });
  });

  test('what this sidecar started, nor what that started', () => {
    expect(choose([INIT, { pid: 9, ppid: SELF, comm: 'nginx' }], nginx)).toEqual(
      left('a command started by this sidecar'),
    );
    const grandchild = [
      { pid: 8, ppid: SELF, comm: 'sh' },
      { pid: 9, ppid: 8, comm: 'nginx' },
    ];
    expect(choose([INIT, ...grandchild], nginx)).toEqual(left('a command started by this sidecar'));
  });

  test('another command of ours', () => {
    expect(
      choose([INIT, { pid: 9, comm: 'nginx' }], nginx, { isOwnCommand: ({ pid }) => pid === 9 }),
    ).toEqual(left('another command of this program'));
  });

  test('what another command of ours started', () => {
    const check = [
      { pid: 8, comm: 'node' },
      { pid: 9, ppid: 8, comm: 'nginx' },
    ];
    expect(choose([INIT, ...check], nginx, { isOwnCommand: ({ pid }) => pid === 8 })).toEqual(
      left('started by another command of this program'),
    );
  });

  test('a zombie', () => {
    expect(choose([INIT, { pid: 9, comm: 'nginx', state: 'Z' }], nginx)).toEqual(left('a zombie'));
  });

  test("the pod's pause process, and of catatonit only what pauses", () => {
    expect(pidOf(choose([{ pid: 1, ppid: 0, comm: 'pause' }], { name: 'pause' }))).toBe('none');
    const paused = { pid: 1, ppid: 0, comm: 'catatonit', args: ['/catatonit', '-P'] };
    expect(pidOf(choose([paused], { name: 'catatonit' }))).toBe('none');
    const init: Made = {
      pid: 1,
      ppid: 0,
      comm: 'catatonit',
      args: ['/catatonit', '--', 'app'],
      container: 'app',
    };
    expect(pidOf(choose([init], { name: 'catatonit' }))).toBe(1);
  });

  test('what lies in our own container while others are in sight, but on a machine of its own it is', () => {
    const pod = [
      { pid: 1, ppid: 0, comm: 'app', container: 'app' },
      { ...SIDECAR, container: 'ours' },
      { pid: 9, comm: 'nginx', container: 'ours' },
    ];
    expect(choose(pod, nginx)).toEqual(left("in this sidecar's own container"));
    expect(pidOf(choose([...pod, { pid: 11, comm: 'nginx', container: 'app' }], nginx))).toBe(11);
    expect(pidOf(choose([...pod, { pid: 2, ppid: 0, comm: 'kthreadd' }], nginx))).toBe(9);
    expect(pidOf(choose([INIT, { pid: 9, comm: 'nginx' }], nginx))).toBe(9);
  });

  test('a shell or launcher that matches a pattern only by its arguments', () => {
    const pattern = { pattern: /nginx/ };
    const real = { pid: 10, ppid: 9, comm: 'nginx', args: ['nginx', '-c', 'x'] };
    for (const args of [
      ['sh', '-c', 'nginx -c x; true'],
      ['/bin/busybox', 'sh', '-c', 'nginx'],
      ['-bash', '-c', 'nginx'],
      ['/sbin/tini', '--', 'nginx'],
    ]) {
      const wrapper = { pid: 9, comm: args[0] === '-bash' ? 'bash' : 'x', args };
      expect(pidOf(choose([INIT, wrapper, real], pattern)), args.join(' ')).toBe(10);
      expect(pidOf(choose([INIT, wrapper], pattern)), args.join(' ')).toBe('none');
    }
  });

  test('but a script with that name of its own is the application', () => {
    const script = { pid: 9, comm: 'serve-nginx.sh', args: ['/bin/sh', '/serve-nginx.sh'] };
    expect(pidOf(choose([INIT, script], { pattern: /nginx/ }))).toBe(9);
  });
});

test('a pattern is searched for on the words joined by blanks', () => {
  const pattern = /worker --queue=mail$/;
  const made = [INIT, { pid: 9, comm: 'node', args: ['node', 'worker', '--queue=mail'] }];
  expect(pidOf(choose(made, { pattern }))).toBe(9);
  expect(choose([INIT], { pattern })).toEqual({
    kind: 'none',
    reason: `no process matches ${pattern}`,
    wrappers: [],
  });
});

test('number and name must both match', () => {
  const made = [INIT, { pid: 9, comm: 'nginx' }, { pid: 10, comm: 'redis' }];
  expect(pidOf(choose(made, { pid: 9, name: 'nginx' }))).toBe(9);
  expect(choose(made, { pid: 10, name: 'nginx' })).toEqual({
    kind: 'none',
    reason: 'no process has the number 10 and is named "nginx"',
    wrappers: [],
  });
});

describe('of related matches', () => {
  const job = { pattern: /job/ };
  const supervisor = { pid: 8, comm: 's6-supervise', args: ['s6-supervise', 'job'] };
  const service = { pid: 9, ppid: 8, comm: 'job', args: ['/bin/job'] };

  test('what is the program goes before what mentions it, related or not', () => {
    const editor = { pid: 10, comm: 'vim', args: ['vim', '/etc/job.conf'] };
    expect(pidOf(choose([INIT, supervisor, service, editor], job))).toBe(9);
    expect(pidOf(choose([INIT, editor], job))).toBe(10);
  });

  test('a parent is distinguished from the application, even when it is an unknown supervisor', () => {
    const unknown = { ...supervisor, comm: 'keeper', args: ['keeper', 'job'] };
    const selection = choose([INIT, unknown, service], job);
    expect(selection).toMatchObject({ kind: 'one', process: { pid: 9 }, wrappers: [{ pid: 8 }] });
    expect(choose([INIT, unknown], job, { wasWrapper: ({ pid }) => pid === 8 })).toMatchObject({
      kind: 'none',
      reason:
        'no process that may be notified matches /job/: 8 (keeper) is a wrapper whose own process is not there now',
    });
  });

  test('a supervisor alone is never chosen for the argument it has', () => {
    expect(choose([INIT, supervisor], job)).toMatchObject({
      reason:
        'no process that may be notified matches /job/: 8 (s6-supervise) is a shell, launcher or supervisor that only mentions it',
    });
  });

  test('a supervisor is chosen where it is the one that is named, also by its path', () => {
    const supervisord = { pid: 9, comm: 'supervisord', args: ['/usr/bin/python3', '/usr/bin/supervisord'] };
    expect(pidOf(choose([INIT, supervisord], { pattern: /supervisord/ }))).toBe(9);
    expect(
      pidOf(choose([INIT, supervisord], { pattern: /^\/usr\/bin\/python3 \/usr\/bin\/supervisord/ })),
    ).toBe(9);
    expect(pidOf(choose([INIT, supervisord], { pattern: /\/usr\/bin\/supervisord/ }))).toBe(9);
  });

  test('an application that for a moment runs what mentions its file is no wrapper', () => {
    const redis = { pid: 9, comm: 'redis-server', args: ['redis-server', '/etc/job.conf'] };
    const grep = { pid: 10, ppid: 9, comm: 'grep', args: ['grep', 'x', '/etc/job.conf'] };
    expect(choose([INIT, redis, grep], job).wrappers).toEqual([]);
  });

  test('the topmost that takes the signal is meant, and workers are copies of their master', () => {
    const line = ['python3', 'app.py', 'job'];
    const master = { pid: 9, comm: 'python3', args: line };
    const worker = { pid: 10, ppid: 9, comm: 'python3', args: line };
    const watcher = { pid: 8, comm: 'node', args: ['node', '--watch', 'job.js'] };
    const watched = { pid: 9, ppid: 8, comm: 'node', args: ['node', 'job.js'] };
    const deaf = (pid: number) => ({ receives: (row: ProcessRow) => row.pid !== pid });
    expect(pidOf(choose([INIT, master, worker], job))).toBe(9);
    expect(pidOf(choose([INIT, master, worker], job, deaf(9)))).toBe(9);
    expect(pidOf(choose([INIT, watcher, watched], job, deaf(8)))).toBe(9);
    expect(pidOf(choose([INIT, watcher, watched], job))).toBe(8);
    expect(pidOf(choose([INIT, watcher, watched], job, { receives: () => false }))).toBe(8);
  });

  test('several that take it below one that does not are no choice', () => {
    const titled = [
      { pid: 9, comm: 'nginx', args: ['nginx: master process'] },
      { pid: 10, ppid: 9, comm: 'nginx', args: ['nginx: worker process'] },
      { pid: 11, ppid: 9, comm: 'nginx', args: ['nginx: cache manager process'] },
    ];
    expect(pidOf(choose([INIT, ...titled], nginx, { receives: ({ pid }) => pid > 9 }))).toBe(9);
  });
});

describe('where only a container is named', () => {
  const pod: readonly Made[] = [
    { pid: 1, ppid: 0, comm: 'pause', container: 'sandbox' },
    { ...SIDECAR, ppid: 0, container: 'ours' },
  ];
  const inApp = (made: Made): Made => ({ ...made, container: 'app' });
  const chosen = (members: readonly Made[], view: Partial<ProcessView> = {}): Selection =>
    choose([...pod, ...members.map(inApp)], { container: 'app' }, view);

  test('its first process is the application', () => {
    expect(
      pidOf(
        chosen([
          { pid: 60, ppid: 0, comm: 'nginx' },
          { pid: 61, ppid: 60, comm: 'nginx' },
        ]),
      ),
    ).toBe(60);
  });

  test('it is what its init and its supervisor keep, whatever helps those', () => {
    const s6 = [
      { pid: 60, ppid: 0, comm: 's6-svscan' },
      { pid: 61, ppid: 60, comm: 's6-supervise', args: ['s6-supervise', 'shutdownd'] },
      { pid: 62, ppid: 61, comm: 's6-linux-init-s', args: ['s6-linux-init-shutdownd'] },
      { pid: 63, ppid: 60, comm: 's6-supervise', args: ['s6-supervise', 'web'] },
      { pid: 64, ppid: 63, comm: 'nginx' },
      { pid: 65, ppid: 64, comm: 'nginx' },
    ];
    expect(pidOf(chosen(s6))).toBe(64);
    expect(
      pidOf(
        chosen([
          { pid: 60, ppid: 0, comm: 'tini' },
          { pid: 61, ppid: 60, comm: 'app' },
        ]),
      ),
    ).toBe(61);
  });

  test('several that they keep are ambiguous, and named', () => {
    const two = [
      { pid: 60, ppid: 0, comm: 'supervisord' },
      { pid: 61, ppid: 60, comm: 'nginx' },
      { pid: 62, ppid: 60, comm: 'php-fpm' },
    ];
    expect(chosen(two)).toMatchObject({
      kind: 'ambiguous',
      reason: 'container "app" runs several below 60 (supervisord): 61 (nginx), 62 (php-fpm)',
    });
  });

  test('an init that keeps nothing yet is not the application', () => {
    expect(chosen([{ pid: 60, ppid: 0, comm: 'tini' }])).toMatchObject({
      kind: 'none',
      reason: 'container "app" runs nothing but 60 (tini)',
    });
  });

  test('a shell without a handler stands above it, and several below it are ambiguous', () => {
    const sh = { pid: 60, ppid: 0, comm: 'sh', args: ['sh', '/entrypoint'] };
    const view = { receives: ({ pid }: ProcessRow) => pid !== 60 };
    const one = { pid: 61, ppid: 60, comm: 'app' };
    expect(pidOf(chosen([sh, one], view))).toBe(61);
    expect(chosen([sh, one, { pid: 62, ppid: 60, comm: 'cron' }], view)).toMatchObject({
      kind: 'ambiguous',
      reason: 'several processes below 60 (sh) match: 61 (app), 62 (cron)',
    });
  });
});

describe('a number of another namespace', () => {
  const ours = [
    { pid: 1, ppid: 0, comm: 'dumb-init' },
    { pid: 7, comm: 'init-helper' },
  ];

  test('is not taken for the first process of our own container', () => {
    expect(choose(ours, { pid: 1 })).toMatchObject({
      kind: 'none',
      reason:
        "no process that may be notified has the number 1: 1 (dumb-init) is the first process of this sidecar's own container, so the process namespace is not shared with the application",
    });
  });

  test('is not taken for anything above us', () => {
    expect(choose(ours, { pid: 7 }, { isAboveUs: ({ pid }) => pid === 7 })).toMatchObject({
      kind: 'none',
      reason:
        'no process that may be notified has the number 7: 7 (init-helper) is a process above this sidecar, so the process namespace is not shared with the application',
    });
    const machine = [
      { pid: 1, ppid: 0, comm: 'systemd' },
      { pid: 2, ppid: 0, comm: 'kthreadd' },
    ];
    expect(choose(machine, { pid: 1 }, { isAboveUs: () => true })).toMatchObject({
      reason: 'no process that may be notified has the number 1: 1 (systemd) is a process above this sidecar',
    });
  });
});
