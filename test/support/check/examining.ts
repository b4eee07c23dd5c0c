// A place of a test's own that `check` finds nothing wrong with, and how it is checked there.
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Finding } from '../../../src/check/check.ts';
import { checkWith, type Env } from './run-check.ts';

export interface Site {
  readonly root: string;
  readonly at: (name: string) => string;
  readonly write: (name: string, text: string, mode?: number) => string;
  /** Settings with which nothing is wrong: a file source, a file output in `volume/`, no endpoints, no application to notify. */
  readonly env: Env;
  /** Everything below the place, to see that nothing is left behind. */
  readonly everything: () => readonly string[];
}

export function createSite(): Site {
  const root = mkdtempSync(join(tmpdir(), 'check-'));
  chmodSync(root, 0o755);
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const at = (name: string): string => join(root, name);
  const write = (name: string, text: string, mode = 0o644): string => {
    writeFileSync(at(name), text);
    chmodSync(at(name), mode);
    return at(name);
  };
  mkdirSync(at('volume'));
  write('config.json', '{"port":80}');
  const env = {
    SOURCE: at('config.json'),
    OUTPUT: at('volume/app.json'),
    LISTEN: 'off',
    FETCH_TIMEOUT: '3s',
    CONFIRM_URL: '',
  };
  const everything = (): readonly string[] => readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return { root, at, write, env, everything };
}

export interface Examined {
  readonly findings: readonly Finding[];
  readonly exitCode: number;
}

/** All findings with these settings. `env` is also the environment that commands get, besides PATH. */
export async function examine(env: Env): Promise<Examined> {
  const { text, exitCode } = await checkWith(env, true);
  return { findings: JSON.parse(text) as readonly Finding[], exitCode };
}

/** The findings with that code; fails when there are none, and shows what there is. */
export function withCode({ findings }: Examined, code: string): Finding {
  const found = findings.find((finding) => finding.code === code);
  if (found === undefined) throw new Error(`No finding ${code} in ${JSON.stringify(findings, null, 2)}`);
  return found;
}

export function codesOf({ findings }: Examined, level: Finding['level']): readonly string[] {
  return findings.filter((finding) => finding.level === level).map(({ code }) => code);
}
