// Builds the program; `npm run build` is all a user needs.
//
//   node build.mjs                        dist/, out of src/main.ts
//   node build.mjs into FOLDER ENTRY      the same with another entry, into another folder
//   node build.mjs run PROGRAM [WORD]...  dist/, then compiles and runs a program of test/ or bench/
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const ROOT = import.meta.dirname;

// Some libraries are CommonJS, and expect these names to be there.
const COMMON_JS = [
  'import { createRequire as __createRequire } from "node:module";',
  'import { fileURLToPath as __toPath } from "node:url";',
  'const require = __createRequire(import.meta.url);',
  'const __filename = __toPath(import.meta.url);',
  'const __dirname = __toPath(new URL(".", import.meta.url));',
].join(' ');

const COMMON = {
  absWorkingDir: ROOT,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
};

/** The program, in chunks that are loaded by need. */
async function bundle(entry, folder) {
  rmSync(resolve(ROOT, folder), { recursive: true, force: true });
  await build({
    ...COMMON,
    entryPoints: [
      { in: entry, out: basename(entry, '.ts') },
      { in: 'src/render/worker/entry.ts', out: 'document-worker' },
    ],
    outdir: folder,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    banner: { js: COMMON_JS },
  });
  cpSync(join(ROOT, 'node_modules/etcd3/proto'), resolve(ROOT, folder, 'proto'), { recursive: true });
}

/** A file that is bundled still finds what lies beside it. */
const ownPlaces = {
  name: 'own places',
  setup: ({ onLoad }) =>
    onLoad({ filter: /[/](test|bench)[/].*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8')
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(path))),
      loader: 'ts',
    })),
};

/** Runs it in this process, so that signals and the exit code are its own. */
async function runProgram(source, words) {
  const program = join(ROOT, '.cache/bench', `${basename(source, '.ts')}.mjs`);
  await build({
    ...COMMON,
    entryPoints: [source],
    outfile: program,
    packages: 'external',
    plugins: [ownPlaces],
  });
  process.argv = [process.argv[0], program, ...words];
  await import(program);
}

const [what, first, ...rest] = process.argv.slice(2);
if (what === 'into') await bundle(rest[0], first);
else await bundle('src/main.ts', 'dist');
if (what === 'run') await runProgram(first, rest);
