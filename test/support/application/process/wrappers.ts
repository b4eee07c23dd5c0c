// Real inits, supervisors, launchers and interpreters around one small service, which writes down each signal it gets.
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Programs, programsOf } from '../../presets/programs.ts';
import type { Stage } from './apart.ts';

/** What a row of the table has to build its command line with. */
export interface Kit {
  /** The service's name, which is on its command line and on that of what starts it. */
  readonly name: string;
  readonly at: (file: string) => string;
  /** Path of the service: a script that the kernel runs under its own name. Its one word is where it records. */
  readonly service: string;
  readonly record: string;
  /** Writes an executable file and gives its path. */
  readonly script: (file: string, text: string) => string;
  /** Path of a program, of the packages or of the machine. */
  readonly program: (name: string) => string;
}

export interface Row {
  readonly what: string;
  readonly argv: (kit: Kit) => readonly string[];
  /** It runs only as root. */
  readonly root?: true;
}

export function wrapperPrograms(): Programs {
  return programsOf('wrappers');
}

const SERVICE = `#!/usr/bin/perl
use POSIX ();
my ($record) = @ARGV;
sub note { open(my $out, '>>', $record); print $out "$_[0] $$\\n"; close($out); }
$SIG{HUP} = sub { note('HUP') };
note('started');
POSIX::pause() while 1;
`;

export function kitFor(stage: Stage, programs: Programs): Kit {
  const script: Kit['script'] = (file, text) => {
    mkdirSync(join(stage.at(file), '..'), { recursive: true });
    writeFileSync(stage.at(file), text);
    chmodSync(stage.at(file), 0o755);
    return stage.at(file);
  };
  const { name, at } = stage;
  const service = script(`bin/${name}`, SERVICE);
  return { name, at, service, record: at('record'), script, program: programs.path };
}

/** Ends whatever has this name on its command line, or was started by what has. */
export function endAll(name: string): void {
  for (let round = 0; round < 20; round += 1) {
    const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && mentions(entry, name));
    if (pids.length === 0) return;
    for (const pid of pids) kill(Number(pid));
  }
}

function mentions(pid: string, name: string): boolean {
  try {
    const text =
      readFileSync(`/proc/${pid}/cmdline`, 'latin1') + readFileSync(`/proc/${pid}/environ`, 'latin1');
    return Number(pid) !== process.pid && text.includes(name);
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** A service directory as s6, runit and daemontools want it, named like the service. */
function serviceFolder({ name, script, service, record }: Kit): string {
  return join(script(`scan/${name}/run`, `#!/bin/sh\nexec ${service} ${record}\n`), '..');
}

function scanFolder(kit: Kit): string {
  return join(serviceFolder(kit), '..');
}

/** Started in this folder. */
function inFolder(folder: string, ...argv: readonly string[]): readonly string[] {
  return ['sh', '-c', `cd ${folder} && exec "$@"`, 'sh', ...argv];
}

/** It starts `/usr/bin/s6-supervise` and no other: so that is there, for it alone. */
function svscan(kit: Kit): readonly string[] {
  const script = 'mount -t overlay none -o "lowerdir=$0:/usr/bin" /usr/bin && exec s6-svscan "$1"';
  return ['unshare', '-m', 'sh', '-c', script, join(kit.program('s6-svscan'), '..'), scanFolder(kit)];
}

function supervisord(kit: Kit): readonly string[] {
  const { name, script, service, record, program, at } = kit;
  const settings = [
    `[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile=${at('supervisord.pid')}`,
    `[program:${name}]\ncommand=${service} ${record}\n`,
  ];
  return ['python3', program('supervisord'), '-c', script(`${name}.conf`, settings.join('\n'))];
}

const NODE = `
const fs = require('node:fs');
const note = (what) => fs.appendFileSync(process.argv[2], what + ' ' + process.pid + '\\n');
process.on('SIGHUP', () => note('HUP'));
note('started');
setInterval(() => {}, 1e6);
`;

const PYTHON = `
import os, signal, sys, time
def note(what):
    with open(sys.argv[1], 'a') as out: out.write(f'{what} {os.getpid()}\\n')
signal.signal(signal.SIGHUP, lambda *_: note('HUP'))
note('started')
while True: time.sleep(600)
`;

const RUBY = `
note = ->(what) { File.write(ARGV[0], "#{what} #{$$}\\n", mode: 'a') }
Signal.trap('HUP') { note.call('HUP') }
note.call('started')
sleep
`;

const PHP = `<?php
function note($what) { global $argv; file_put_contents($argv[1], $what . ' ' . getmypid() . "\\n", FILE_APPEND); }
pcntl_async_signals(true);
pcntl_signal(SIGHUP, fn() => note('HUP'));
note('started');
while (true) sleep(600);
`;

const JAVA = (name: string): string => `
import java.nio.file.*;
public class ${name} {
  static void note(String file, String what) throws Exception {
    String line = what + " " + ProcessHandle.current().pid() + "\\n";
    Files.writeString(Path.of(file), line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
  }
  public static void main(String[] words) throws Exception {
    sun.misc.Signal.handle(new sun.misc.Signal("HUP"), s -> { try { note(words[0], "HUP"); } catch (Exception e) {} });
    note(words[0], "started");
    Thread.sleep(Long.MAX_VALUE);
  }
}
`;

const SHELL = `
trap 'echo "HUP $$" >> "$1"' HUP
echo "started $$" >> "$1"
while :; do sleep 600 & wait $!; kill $! 2>/dev/null; done
`;

/** Shells and programs that remain as parents of what they run. */
const launched = (what: string, ...words: readonly string[]): Row => ({
  what,
  argv: ({ program, service, record }) => {
    const [first = '', ...others] = words;
    return [first.startsWith('@') ? program(first.slice(1)) : first, ...others, service, record];
  },
});

const shelled = (what: string, ...words: readonly string[]): Row => ({
  what,
  argv: ({ program, service, record }) => {
    const [first = '', ...others] = words;
    return [first.startsWith('@') ? program(first.slice(1)) : first, ...others, `${service} ${record}; true`];
  },
});

const interpreted = (what: string, ext: string, text: string, ...words: readonly string[]): Row => ({
  what,
  argv: ({ program, script, name, record }) => {
    const [first = '', ...others] = words;
    const path = script(`${name}.${ext}`, text);
    return [first.startsWith('@') ? program(first.slice(1)) : first, ...others, path, record];
  },
});

export const ROWS: readonly Row[] = [
  { what: 's6-supervise', argv: (kit) => inFolder(scanFolder(kit), kit.program('s6-supervise'), kit.name) },
  { what: 's6-svscan', argv: svscan, root: true },
  { what: 'runsv', argv: (kit) => inFolder(scanFolder(kit), kit.program('runsv'), kit.name) },
  { what: 'runsvdir', argv: (kit) => [kit.program('runsvdir'), scanFolder(kit)] },
  { what: 'supervise', argv: (kit) => inFolder(scanFolder(kit), kit.program('supervise'), kit.name) },
  { what: 'svscan', argv: (kit) => [kit.program('svscan'), scanFolder(kit)] },
  { what: 'supervisord', argv: supervisord },
  launched('tini', '@tini', '-s', '--'),
  launched('tini-static', '@tini-static', '-s', '-g', '--'),
  launched('dumb-init', '@dumb-init', '--'),
  launched('dumb-init without its own session', '@dumb-init', '-c', '--'),
  { ...launched('catatonit in a namespace of its own', 'unshare', '-pf', 'catatonit', '--'), root: true },
  launched('timeout', 'timeout', '600'),
  launched('nohup', 'nohup'),
  launched('nice', 'nice', '-n', '1'),
  launched('env', 'env', 'A=1'),
  launched('stdbuf', 'stdbuf', '-oL'),
  launched('setsid --wait', 'setsid', '-w'),
  launched('flock', 'flock', '/dev/null'),
  launched('strace', '@strace', '-f', '-o', '/dev/null'),
  launched('chpst', '@chpst', '-n', '1'),
  launched('s6-softlimit', '@s6-softlimit', '-o', '100'),
  { ...launched('gosu', '@gosu', 'root'), root: true },
  { ...launched('setuidgid', '@setuidgid', 'root'), root: true },
  { ...launched('setpriv', 'setpriv', '--no-new-privs'), root: true },
  { ...launched('chroot', 'chroot', '/'), root: true },
  { ...launched('runuser', 'runuser', '-u', 'root', '--'), root: true },
  { ...launched('unshare --fork', 'unshare', '-pf'), root: true },
  { ...shelled('su', 'su', 'root', '-c'), root: true },
  {
    what: 'start-stop-daemon',
    argv: ({ name, service, record }) => [
      ...['start-stop-daemon', '--start', '--name', name, '--startas', service, '--', record],
    ],
  },
  shelled('bash -c', 'bash', '-c'),
  shelled('dash -c', 'dash', '-c'),
  shelled('busybox sh -c', '@busybox', 'sh', '-c'),
  launched('busybox timeout', '@busybox', 'timeout', '600'),
  {
    what: 'an entrypoint script named like the service',
    argv: ({ script, name, service, record }) => [
      script(`entry/${name}`, `#!/bin/sh\n${service} ${record}\ntrue\n`),
    ],
  },
  {
    what: 'sh with the path of an entrypoint script',
    argv: ({ script, name, service, record }) => [
      'sh',
      script(`${name}/entrypoint.sh`, `${service} ${record}\ntrue\n`),
    ],
  },
  interpreted('a shell script that traps the signal', 'sh', SHELL, 'sh'),
  interpreted('node', 'cjs', NODE, process.execPath),
  interpreted('node --watch', 'cjs', NODE, process.execPath, '--watch'),
  interpreted('python3', 'py', PYTHON, 'python3', '-u'),
  interpreted('perl', 'pl', SERVICE, 'perl', '-w'),
  interpreted('ruby', 'rb', RUBY, '@ruby3.1', '--disable-gems'),
  interpreted('php', 'php', PHP, '@php8.2', '-n'),
  {
    what: 'java',
    argv: ({ script, name, record }) => ['java', '-Xmx64m', script(`${name}.java`, JAVA(name)), record],
  },
  {
    what: 'tini over timeout over a shell over node',
    argv: ({ program, script, name, record }) => {
      const path = script(`${name}.cjs`, NODE);
      return [program('tini'), '-s', '--', 'timeout', '600', 'sh', '-c', `node ${path} ${record}; true`];
    },
  },
];
