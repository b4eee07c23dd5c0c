// Loads settings as the tests need them: from an environment that already has an output and a source.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type Loaded, SettingsError } from '../../../src/settings/settings.ts';
import { loadSettings } from './only-target.ts';

/** The least that is needed. The working directory of `load` and `problemsOf` is `/work-dir`. */
export const BASE = { OUTPUT: '/srv/app.json', SOURCE: 'etcd://store:2379/app/' };

export type Env = Readonly<Record<string, string>>;

export interface More {
  readonly flags?: readonly string[];
  readonly cwd?: string;
}

export function load(env: Env, { flags = [], cwd = '/work-dir' }: More = {}): Promise<Loaded> {
  return loadSettings({ flags, env: { ...BASE, ...env }, cwd });
}

/** The sentences for what is wrong, none when nothing is. */
export async function problemsOf(env: Env, more: More = {}): Promise<readonly string[]> {
  try {
    await load(env, more);
    return [];
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
}

/** A directory of the running test's own, removed at its end. */
export function scratch(files: Readonly<Record<string, string>> = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'settings-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}
