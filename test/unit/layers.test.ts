// Who may import whom, and who may touch the process: read off the sources themselves.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

interface Source {
  readonly file: string;
  readonly text: string;
  /** What is imported, `import type` and `import()` too: files of ours relative to the root, or a package's name. */
  readonly imports: readonly { readonly from: string; readonly isType: boolean; readonly isLazy: boolean }[];
}

const SOURCES: readonly Source[] = ['src', 'providers'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readSource(join(folder, name))),
);

function readSource(file: string): Source {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const statements = text.matchAll(
    /(?:^import|^export)\s(type\s)?[^;'"]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)/gm,
  );
  const imports = [...statements].map(([, type, from, lazily]) => ({
    from: resolve(file, from ?? lazily ?? ''),
    isType: type !== undefined,
    isLazy: lazily !== undefined,
  }));
  return { file, text: withoutComments(text), imports };
}

function resolve(file: string, from: string): string {
  return from.startsWith('.') ? relative(ROOT, join(ROOT, dirname(file), from)) : from;
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, '');
}

/** `file -> import` for every import of these files that is not allowed. */
function forbidden(
  files: (file: string) => boolean,
  isAllowed: (from: string, isType: boolean, file: string) => boolean,
): readonly string[] {
  return SOURCES.filter(({ file }) => files(file)).flatMap(({ file, imports }) =>
    imports
      .filter(({ from, isType }) => !isAllowed(from, isType, file))
      .map(({ from }) => `${file} -> ${from}`),
  );
}

const isOurs = (from: string): boolean => from.startsWith('src/') || from.startsWith('providers/');
const isProvider = (file: string): boolean => file.startsWith('providers/');

/** Everything a file imports, at any remove; types are no dependency. `eagerly`: only what is loaded with it. */
function reach(file: string, { eagerly = false, seen = new Set<string>() } = {}): ReadonlySet<string> {
  for (const { from, isType, isLazy } of SOURCES.find((one) => one.file === file)?.imports ?? []) {
    if (isType || seen.has(from) || (eagerly && isLazy)) continue;
    seen.add(from);
    reach(from, { eagerly, seen });
  }
  return seen;
}

/** Files that import each other at any remove, each circle once, by its first name. */
function circles(): readonly string[] {
  const imports = new Map(SOURCES.map(({ file, imports: all }) => [file, all.map(({ from }) => from)]));
  const reachable = (file: string, seen = new Set<string>()): Set<string> => {
    for (const from of imports.get(file) ?? []) {
      if (seen.has(from)) continue;
      seen.add(from);
      reachable(from, seen);
    }
    return seen;
  };
  const reached = new Map([...imports.keys()].map((file) => [file, reachable(file)]));
  const groups = [...reached].flatMap(([file, all]) => {
    if (!all.has(file)) return [];
    return [
      [...all]
        .filter((other) => reached.get(other)?.has(file))
        .sort((a, b) => a.localeCompare(b))
        .join(' '),
    ];
  });
  return [...new Set(groups)];
}

/** The folders of `src` from the top down; a folder imports only what stands below it. */
const FOLDERS = [
  'src/main.ts',
  'src/cli',
  'src/check',
  'src/server',
  'src/reconcile',
  'src/application',
  'src/ledger',
  'src/publish',
  'src/render',
  'src/settings',
  'providers',
  'src/source',
  'src/lib',
];

const levelOf = (file: string): number =>
  FOLDERS.findIndex((folder) => file === folder || file.startsWith(`${folder}/`));

describe('the layers', () => {
  it('are read off sources that are there', () => {
    for (const folder of FOLDERS) {
      expect(SOURCES.filter(({ file }) => levelOf(file) === FOLDERS.indexOf(folder))).not.toEqual([]);
    }
    expect(SOURCES.filter(({ file }) => levelOf(file) < 0)).toEqual([]);
    expect(SOURCES.find(({ file }) => file === 'src/reconcile/reconciler.ts')?.imports).toContainEqual({
      from: 'src/reconcile/decide.ts',
      isType: false,
      isLazy: false,
    });
    expect(SOURCES.find(({ file }) => file === 'providers/etcd.ts')?.imports).toContainEqual({
      from: 'src/source/etcd/open.ts',
      isType: false,
      isLazy: true,
    });
  });

  it('a folder imports only folders below it, types too', () => {
    expect(
      forbidden(
        () => true,
        (from, _isType, file) => !isOurs(from) || levelOf(from) >= levelOf(file),
      ),
    ).toEqual([]);
  });

  it('only the list of sources imports providers, which do not import each other', () => {
    expect(
      forbidden(
        (file) => file !== 'src/settings/sources.ts',
        (from) => !isProvider(from),
      ),
    ).toEqual([]);
  });

  it('no provider reaches the settings or the log', () => {
    const reached = SOURCES.filter(({ file }) => isProvider(file)).flatMap(({ file }) =>
      [...reach(file)]
        .filter((from) => from.startsWith('src/settings/') || from === 'src/lib/log.ts')
        .map((from) => `${file} -> ${from}`),
    );
    expect(reached).toEqual([]);
  });

  it('a step of the application imports no other step: reload and confirm do not know each other', () => {
    const stepOf = (file: string): string | undefined =>
      /^src\/application\/(reload|confirm)\//.exec(file)?.[1];
    expect(
      forbidden(
        (file) => stepOf(file) !== undefined,
        (from, isType, file) => isType || stepOf(from) === undefined || stepOf(from) === stepOf(file),
      ),
    ).toEqual([]);
  });

  it('what is decided, reduced and derived depends on nothing but values', () => {
    const core = ['state', 'reduce', 'decide', 'goal', 'outcome', 'journal', 'sentences'];
    const pure = [
      ...core.map((name) => `reconcile/${name}`),
      'application/reload/setback',
      'ledger/transitions',
    ];
    const reached = pure.flatMap((name) =>
      [...reach(`src/${name}.ts`)].filter((from) => !isOurs(from)).map((from) => `${name} -> ${from}`),
    );
    expect(new Set(reached.map((one) => one.split(' -> ')[1]))).toEqual(new Set(['node:crypto']));
    const folders = [...reach('src/reconcile/decide.ts')].filter((from) => isOurs(from)).map(dirname);
    expect(new Set(folders)).toEqual(new Set(['src/ledger', 'src/lib', 'src/reconcile']));
  });

  it('the ledger is changed by `reduce` alone, and written in one place', () => {
    const changers = SOURCES.filter(({ text }) => /from '[^']*\/transitions\.ts'/.test(text));
    expect(changers.map(({ file }) => file)).toEqual(['src/reconcile/reduce.ts']);
    const users = SOURCES.filter(({ text }) => /\bwriteLedger\(/.test(text)).map(({ file }) => file);
    expect(users.filter((file) => file !== 'src/ledger/ledger-file.ts')).toEqual(['src/ledger/store.ts']);
  });

  it('the name of an exported type has one meaning in the whole tree', () => {
    const places = new Map<string, string[]>();
    for (const { file, text } of SOURCES) {
      for (const [, name = ''] of text.matchAll(/^export (?:interface|type|class) (\w+)/gm))
        places.set(name, [...(places.get(name) ?? []), file]);
    }
    expect([...places].filter(([, files]) => files.length > 1)).toEqual([]);
  });

  it('no files import each other in a circle, types too', () => {
    const ours = circles().filter(
      (files) => !/src\/(publish|application\/process|source\/kubernetes)\//.test(files),
    );
    expect(ours).toEqual([]);
  });

  it.each([
    ['argv, environment and exit code', /process\.(argv|env\b|exit\b|exitCode|on\b|once\b)/],
    ['process.stdout and process.stderr', /process\.(stdout|stderr)/],
    ['locale-dependent text', /\bIntl\.|toLocale/],
    ['the global fetch', /(^|[^.\w])fetch\(/m],
  ])('only main.ts touches %s', (_what, pattern) => {
    // The table of presets is sentences and names.
    const isCode = (file: string): boolean =>
      file !== 'src/main.ts' && file !== 'src/settings/presets/table.ts';
    const touching = SOURCES.filter(({ file, text }) => isCode(file) && pattern.test(text));
    expect(touching.map(({ file }) => file)).toEqual([]);
  });

  it('no heavy library is loaded with the program: each waits until it is needed', () => {
    const heavy = /^(liquidjs|js-yaml|smol-toml|ajv|axios|consul|etcd3|prom-client|ps-list)(\/|$)/;
    // main.ts loads it as its first act, after the signal handlers.
    const eager = new Set([
      ...reach('src/main.ts', { eagerly: true }),
      ...reach('src/cli/cli.ts', { eagerly: true }),
    ]);
    expect([...eager].filter((from) => heavy.test(from))).toEqual([]);
    expect(eager).toContain('src/reconcile/decide.ts');
    expect([...reach('src/main.ts')].filter((from) => heavy.test(from))).toContain('liquidjs');
  });
});
