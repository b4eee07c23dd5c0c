// PRESET stands for settings: which ones, what beats them, and what is said of an application that cannot reload.
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { explain } from '../../../src/settings/docs.ts';
import { checkerHint, checkerOf } from '../../../src/settings/preset.ts';
import { presetsHelp } from '../../../src/settings/presets/describe.ts';
import type { Preset } from '../../../src/settings/presets/preset.ts';
import { PRESET_NAMES, PRESETS } from '../../../src/settings/presets/table.ts';
import type { Name } from '../../../src/settings/table.ts';
import { loadSettings } from '../../support/settings/only-target.ts';
import { type Env, load, problemsOf, scratch } from '../../support/settings/settings-loading.ts';

/** The resulting settings: name, value, and where it is from. */
async function inEffect(env: Env): Promise<(name: Name) => readonly [string, string]> {
  const rows = explain(await load(env));
  return (name) => {
    const row = rows.find((one) => one.name === name);
    return [row?.value ?? '', row?.from ?? ''];
  };
}

/** A PATH with programs of these names. */
function pathWith(...programs: readonly string[]): string {
  const folder = scratch(Object.fromEntries(programs.map((name) => [name, '#!/bin/sh\n'])));
  for (const name of programs) chmodSync(join(folder, name), 0o755);
  return folder;
}

describe('the checker of a preset, with several outputs', () => {
  const checkersOf = async (outputs: string, more: Env = {}) => {
    const { OUTPUT: _none, ...base } = { OUTPUT: '', ...more };
    const loaded = await loadSettings({
      flags: [],
      env: { SOURCE: '/a.json', PRESET: 'nginx', PATH: pathWith('nginx'), OUTPUTS: outputs, ...base },
      cwd: '/work-dir',
    });
    return loaded.settings.OUTPUTS.map((output) =>
      checkerOf(loaded, output, ['nginx.conf', 'a.conf'])?.join(' '),
    );
  };
  const command = (path: string): string => PRESETS.nginx.checker?.arguments.replace('{main}', path) ?? '';

  test('is for the file that is its main file', async () => {
    const [first, second] = await checkersOf('[{"output": "/tls/app.conf"}, {"output": "/etc/nginx.conf"}]');
    expect(first).toBeUndefined();
    expect(second).toBe(`nginx ${command('{path}')}`);
  });

  test('is for the directory that has its main file in it', async () => {
    const [first, second] = await checkersOf('[{"output": "/etc/conf/"}, {"output": "/tls/app.conf"}]');
    expect(first).toBe(`nginx ${command('{path}/nginx.conf')}`);
    expect(second).toBeUndefined();
  });

  test('gives way to the own checker of an output', async () => {
    const own = '[{"output": "/etc/nginx.conf", "validate_command": "mine {path}"}, {"output": "/b"}]';
    expect(await checkersOf(own)).toEqual(['mine {path}', undefined]);
    expect(
      await checkersOf('[{"output": "/a"}, {"output": "/b"}]', { VALIDATE_COMMAND: 'all {path}' }),
    ).toEqual(['all {path}', 'all {path}']);
  });
});

describe('a preset', () => {
  test('stands for the settings of its application, and says so', async () => {
    const found = await inEffect({ PRESET: 'nginx' });
    expect(found('APP_PROCESS')).toEqual([PRESETS.nginx.process, 'preset']);
    expect(found('RELOAD_SIGNAL')).toEqual(['SIGHUP', 'preset']);
    expect(found('CONFIRM_WORKERS')).toEqual(['true', 'preset']);
    expect(found('CONFIRM_PERIOD')).toEqual(['3s', 'default']);
  });

  test('is beaten by what is given: flag, environment or file', async () => {
    const file = join(scratch({ 'settings.yaml': 'confirm_workers: false\n' }), 'settings.yaml');
    const found = await inEffect({ PRESET: 'nginx', APP_PROCESS: '/^my-nginx/', SETTINGS_FILE: file });
    expect(found('APP_PROCESS')).toEqual(['/^my-nginx/', 'environment']);
    expect(found('CONFIRM_WORKERS')).toEqual(['false', 'file']);
    expect(found('RELOAD_SIGNAL')).toEqual(['SIGHUP', 'preset']);
  });

  test('can be named in the settings file', async () => {
    const file = join(scratch({ 'settings.yaml': 'preset: haproxy\n' }), 'settings.yaml');
    const found = await inEffect({ SETTINGS_FILE: file });
    expect(found('RELOAD_SIGNAL')).toEqual(['SIGUSR2', 'preset']);
  });

  test('gives up its whole hook for one that is given', async () => {
    const byUrl = await inEffect({ PRESET: 'nginx', RELOAD_URL: 'http://127.0.0.1:1/' });
    expect(byUrl('RELOAD_SIGNAL')).toEqual(['', 'default']);
    // No process is named: one that cannot be seen would put off every request.
    expect(byUrl('APP_PROCESS')).toEqual(['', 'default']);
    expect(byUrl('CONFIRM_WORKERS')).toEqual(['false', 'default']);
    const bySignal = await inEffect({ PRESET: 'prometheus', RELOAD_SIGNAL: 'SIGHUP' });
    expect(bySignal('RELOAD_URL')).toEqual(['', 'default']);
    expect(bySignal('APP_PROCESS')).toEqual([PRESETS.prometheus.process, 'preset']);
    expect(bySignal('CONFIRM_MATCH')[1]).toBe('preset');
  });

  test('confirms nothing where no application is notified', async () => {
    const found = await inEffect({ PRESET: 'nginx', RELOAD_SIGNAL: ' none' });
    expect(found('APP_PROCESS')).toEqual(['', 'default']);
    expect(found('CONFIRM_WORKERS')).toEqual(['false', 'default']);
  });

  test('names no process of an application that watches its files: it may be out of sight', async () => {
    expect((await inEffect({ PRESET: 'traefik' }))('APP_PROCESS')).toEqual(['', 'default']);
  });

  test('is read like any other value, with white space around it', async () => {
    const found = await inEffect({ PRESET: 'nginx\n' });
    expect(found('RELOAD_SIGNAL')).toEqual(['SIGHUP', 'preset']);
  });

  test('sets RELOAD_GATE=off for its own signal only', async () => {
    expect((await inEffect({ PRESET: 'bind' }))('RELOAD_GATE')).toEqual(['off', 'preset']);
    expect((await inEffect({ PRESET: 'bind', RELOAD_SIGNAL: 'SIGHUP' }))('RELOAD_GATE')).toEqual([
      'off',
      'preset',
    ]);
    expect((await inEffect({ PRESET: 'bind', RELOAD_SIGNAL: 'SIGUSR1' }))('RELOAD_GATE')[1]).toBe('default');
  });

  test('looks for its report on the page that has it, and on no other one that is given', async () => {
    const url = (CONFIRM_URL: string) => inEffect({ PRESET: 'prometheus', CONFIRM_URL });
    expect((await url('http://127.0.0.1:9191/prom/metrics'))('CONFIRM_MATCH')[1]).toBe('preset');
    expect((await url('http://127.0.0.1:9090/-/ready'))('CONFIRM_MATCH')).toEqual(['', 'default']);
  });

  test('says which of two times is its own when they do not fit', async () => {
    expect(await problemsOf({ PRESET: 'squid', CONFIRM_TIMEOUT: '4s' })).toEqual([
      'Cannot use CONFIRM_TIMEOUT "4s" with CONFIRM_PERIOD of PRESET "5s": CONFIRM_TIMEOUT must be longer, or nothing could ever be confirmed',
    ]);
  });

  test('leaves the process alone where a PID file or a container says which one it is', async () => {
    const byFile = await inEffect({ PRESET: 'nginx', APP_PID_FILE: '/run/nginx.pid' });
    expect(byFile('APP_PROCESS')).toEqual(['', 'default']);
    const byContainer = await inEffect({ PRESET: 'nginx', APP_CONTAINER: 'web' });
    expect(byContainer('APP_PROCESS')).toEqual([PRESETS.nginx.process, 'preset']);
  });
});

describe('the checker of a preset', () => {
  test('is used when PATH leads to it, on the main file', async () => {
    const PATH = pathWith('promtool');
    const file = await inEffect({ PRESET: 'prometheus', PATH });
    expect(file('VALIDATE_COMMAND')).toEqual(['promtool check config {path}', 'preset']);
    const directory = await inEffect({ PRESET: 'prometheus', PATH, OUTPUT: '/srv/prometheus/' });
    expect(directory('VALIDATE_COMMAND')).toEqual(['promtool check config {path}/prometheus.yml', 'preset']);
    const padded = await inEffect({ PRESET: 'prometheus', PATH, OUTPUT: '/srv/prometheus/ ' });
    expect(padded('VALIDATE_COMMAND')).toEqual(directory('VALIDATE_COMMAND'));
  });

  test('is missed with a warning, which says what a bad file would do', async () => {
    const { warnings, settings } = await load({ PRESET: 'prometheus', PATH: '/nowhere' });
    expect(settings.VALIDATE_COMMAND).toBeUndefined();
    expect(warnings).toContain(
      'PRESET "prometheus" checks nothing before publishing: the sidecar cannot find "promtool", and a bad file is found only after it is published. Install the program in the sidecar\'s image, or set VALIDATE_COMMAND.',
    );
    const deadly = await load({ PRESET: 'unbound', PATH: '/nowhere' });
    expect(deadly.warnings.join()).toContain(
      'Unbound exits on a bad file, so it would go down before the roll-back',
    );
  });

  test('a file of its name that cannot be run is not it', async () => {
    const folder = scratch();
    writeFileSync(join(folder, 'promtool'), '');
    expect((await load({ PRESET: 'prometheus', PATH: folder })).settings.VALIDATE_COMMAND).toBeUndefined();
  });

  test('is not missed where another one is given', async () => {
    const { warnings } = await load({ PRESET: 'prometheus', PATH: '/nowhere', VALIDATE_COMMAND: 'true' });
    expect(warnings.join()).not.toContain('checks nothing');
  });

  test('its refusal comes with a hint where OUTPUT may be only a part', async () => {
    const PATH = pathWith('promtool');
    expect(
      checkerHint(await load({ PRESET: 'prometheus', PATH, OUTPUT: '/srv/prometheus.yml' })),
    ).toBeUndefined();
    expect(checkerHint(await load({ PRESET: 'prometheus', PATH, OUTPUT: '/srv/rules.yml' }))).toBe(
      'PRESET "prometheus" takes OUTPUT for a whole prometheus.yml; where that is wrong, set VALIDATE_COMMAND ("true" checks nothing)',
    );
    const own = await load({
      PRESET: 'prometheus',
      PATH,
      OUTPUT: '/srv/rules.yml',
      VALIDATE_COMMAND: 'true',
    });
    expect(checkerHint(own)).toBeUndefined();
  });
});

describe('an application that cannot reload', () => {
  test('is said to be one', async () => {
    const [problem = '', ...others] = await problemsOf({ PRESET: 'redis' });
    expect(others).toEqual([]);
    expect(problem).toMatch(/^Cannot use PRESET "redis" alone: Redis cannot reload its configuration\. /);
    expect(problem).toContain(
      'Set RELOAD_SIGNAL to SIGTERM to have its supervisor restart it, or to none to publish only; or set RELOAD_COMMAND',
    );
  });

  test('is found and watched over when it is restarted instead', async () => {
    const found = await inEffect({ PRESET: 'redis', RELOAD_SIGNAL: 'SIGTERM' });
    expect(found('APP_PROCESS')).toEqual([PRESETS.redis.process, 'preset']);
  });
});

test('a name that is no preset is refused, with the nearest one', async () => {
  const [problem] = await problemsOf({ PRESET: 'apache2' });
  expect(problem).toMatch(
    /^Cannot use PRESET "apache2": it must be nginx, haproxy, .* or php-fpm; did you mean "apache"\?$/,
  );
});

describe('every preset', () => {
  const PATH = '/nowhere';
  test.each(PRESET_NAMES)('%s is a set of legal settings', async (name) => {
    const preset: Preset = PRESETS[name];
    const hook: Env = preset.hook === null ? { RELOAD_SIGNAL: 'SIGTERM' } : {};
    expect(await problemsOf({ PRESET: name, PATH, ...hook })).toEqual([]);
    const programs = preset.checker === null ? [] : [pathWith(...preset.checker.programs)];
    expect(await problemsOf({ PRESET: name, PATH: programs.join(), ...hook })).toEqual([]);
  });

  test('one that was never tried is reported as unverified at the start', async () => {
    const { warnings } = await load({ PRESET: 'envoy' });
    expect(warnings).toContain(
      'PRESET "envoy" is unverified: it follows the documentation of Envoy, and no test has run it. Try a good and a bad change before you rely on it.',
    );
  });

  test('one that was never tried is called unverified in the help', () => {
    const help = presetsHelp();
    for (const name of PRESET_NAMES) {
      const { application, verified }: Preset = PRESETS[name];
      const trust = verified === null ? 'unverified' : `tested with ${verified}`;
      expect(help).toMatch(new RegExp(`^ +${name} +${escaped(application)}, ${escaped(trust)}: `, 'm'));
    }
  });
});

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
