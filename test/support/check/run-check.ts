// Runs `check` with the settings of an environment, in this process or as a program of its own.

import { type Checked, check } from '../../../src/check/check.ts';
import { sourceOf } from '../../../src/settings/secrets.ts';
import { loadSettings } from '../settings/only-target.ts';

export type Env = Readonly<Record<string, string>>;

/** Commands get the environment as well, and the PATH of the tests. */
export async function checkWith(given: Env, json: boolean): Promise<Checked> {
  const env = { PATH: process.env['PATH'] ?? '', ...given };
  const loaded = await loadSettings({ flags: [], env, cwd: '/' });
  const open = await sourceOf(loaded).load();
  return await check({ loaded, env, open, json, signal: new AbortController().signal });
}
