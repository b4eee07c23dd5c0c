// Runs `check` with the settings of an environment, in this process or as a program of its own.
import { openFile } from '../../../providers/file.ts';
import { openHttp } from '../../../providers/http.ts';
import { type Checked, check } from '../../../src/check/check.ts';
import { sourceOf } from '../../../src/settings/secrets.ts';
import { loadSettings } from '../../../src/settings/settings.ts';
import { schemeOf } from '../../../src/settings/source.ts';

export type Env = Readonly<Record<string, string>>;

/** The source is a file or an HTTP API. Commands get the environment as well, and the PATH of the tests. */
export async function checkWith(given: Env, json: boolean): Promise<Checked> {
  const env = { PATH: process.env['PATH'] ?? '', ...given };
  const loaded = await loadSettings({ flags: [], env, cwd: '/' });
  const open = schemeOf(sourceOf(loaded)) === 'file' ? openFile : openHttp;
  return await check({ loaded, env, open, json, signal: new AbortController().signal });
}
