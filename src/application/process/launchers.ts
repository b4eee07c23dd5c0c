// Programs that stand above an application: they start it and stay. What a signal does to them it does not do to the application.
import type { Program } from './program.ts';

/**
 * First processes of a container or machine, and supervisors. Some of them catch SIGHUP, and then end, or restart
 * everything they keep.
 */
const SUPERVISORS: ReadonlySet<string> = new Set([
  ...['tini', 'tini-static', 'dumb-init', 'docker-init', 'catatonit', 'init', 'systemd', 'conmon'],
  ...['s6-svscan', 's6-supervise', 's6-linux-init', 'runit', 'runit-init', 'runsvdir', 'runsv'],
  ...['svscan', 'svscanboot', 'supervise', 'supervisord', 'circusd', 'monit', 'daemon', 'perpd', 'nosh'],
  ...['pm2', 'pm2-runtime', 'PM2', 'forever', 'foreman', 'honcho', 'overmind', 'goreman', 'hivemind'],
  ...['nodemon', 'watchexec', 'entr', 'reflex', 'openrc-init', 'supervise-daemon', 'multirun', 'horust'],
]);

/** Parts of those that serve them, and programs that only write down what a service prints. */
const HELPERS: ReadonlySet<string> = new Set([
  ...['s6-linux-init-shutdownd', 's6-linux-init-s', 's6-ipcserverd', 's6-fdholderd', 's6-log', 's6-sudod'],
  ...['svlogd', 'multilog', 'readproctitle', 'logger', 'rotatelogs', 'cronolog'],
]);

/** They run another program and stay; its whole command line is among their words. */
const LAUNCHERS: ReadonlySet<string> = new Set([
  ...['sudo', 'doas', 'su', 'runuser', 'timeout', 'strace', 'ltrace', 'gdb', 'perf', 'time', 'flock'],
  ...['script', 'unshare', 'nsenter', 'bwrap', 'firejail', 'setsid', 'xargs', 'parallel', 'watch'],
  ...['systemd-run', 'ssh', 'tmux', 'screen', 'docker', 'podman', 'kubectl', 'npm', 'npx', 'yarn', 'pnpm'],
]);

/** Whether it is an init, a supervisor or a launcher, by any of its names. */
export function isLauncher({ names }: Program): boolean {
  return names.map(firstWord).some((name) => SUPERVISORS.has(name) || LAUNCHERS.has(name));
}

/** Whether it belongs to an init or supervisor, and is no application even when it has no children. */
export function isHelper({ names }: Program): boolean {
  return names.map(firstWord).some((name) => HELPERS.has(name));
}

/** Some write into their name what they run: `npm start`, `PM2 v5.3.0: God Daemon`. */
function firstWord(name: string): string {
  return name.split(' ')[0] ?? name;
}
