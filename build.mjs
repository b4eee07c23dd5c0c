// Builds the program; `npm run build` is all a user needs.
//
//   node build.mjs                        dist/, out of src/main.ts
//   node build.mjs into FOLDER ENTRY      the same with another entry, into another folder
//   node build.mjs run PROGRAM [WORD]...  dist/, then compiles and runs a program of test/ or bench/
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'rolldown';

const ROOT = import.meta.dirname;
/** The entry of the thread that reads and renders large documents. */
const WORKER = 'src/render/worker/entry.ts';

const COMMON = {
  cwd: ROOT,
  platform: 'node',
  // Libraries that are CommonJS expect these names.
  transform: {
    target: 'node20.19',
    define: { __dirname: 'import.meta.dirname', __filename: 'import.meta.filename' },
    inject: { performance: [join(ROOT, 'src/lib/steady-clock.ts'), 'performance'] },
  },
  logLevel: 'warn',
  // Libraries' own ways, which work.
  checks: { eval: false, commonJsVariableInEsm: false },
};

/** Makes a module of a text in place of a package that is imported by name; the text imports as a file of `folder` would. */
function replacePackage(name, folder, contents) {
  const stand = join(folder, `in-place-of-${name.replaceAll(/\W/g, '-')}.cjs`);
  return {
    name: `in place of ${name}`,
    resolveId: (id) => (id === name ? stand : null),
    load: (id) => (id === stand ? contents() : null),
  };
}

/**
 * etcd3 parses its .proto files at each start, and describes every message in them. Here they are parsed when the program is built,
 * and a message is prepared when it is sent or received first: that halves the start, and saves some MiB.
 */
function etcdProtocol() {
  const etcd3 = join(ROOT, 'node_modules/etcd3');
  const contents = () => {
    const protobuf = createRequire(join(etcd3, 'package.json'))('protobufjs');
    const root = new protobuf.Root().loadSync(join(etcd3, 'proto/rpc.proto'), { keepCase: true });
    return `
      const protobuf = require('protobufjs/light');
      protobuf.util.Long = require('long');
      protobuf.configure();
      const root = protobuf.Root.fromJSON(${JSON.stringify(root.toJSON())});
      const encoder = (typeOf) => (value) => { const type = typeOf(); return type.encode(type.fromObject(value)).finish(); };
      const decoder = (typeOf, options) => (bytes) => { const type = typeOf(); return type.toObject(type.decode(bytes), options); };
      const methodOf = (path, method, options) => {
        const request = () => method.resolve().resolvedRequestType;
        const response = () => method.resolve().resolvedResponseType;
        return {
          path: \`/\${path}/\${method.name}\`,
          originalName: method.name[0].toLowerCase() + method.name.slice(1),
          requestStream: !!method.requestStream,
          responseStream: !!method.responseStream,
          requestSerialize: encoder(request),
          requestDeserialize: decoder(request, options),
          responseSerialize: encoder(response),
          responseDeserialize: decoder(response, options),
        };
      };
      exports.loadSync = (path, options) => {
        if (!path.endsWith('/rpc.proto')) throw new Error('this protocol is not part of the program');
        const services = {};
        for (const space of root.nestedArray)
          for (const service of space.nestedArray ?? []) {
            if (!(service instanceof protobuf.Service)) continue;
            const name = service.fullName.slice(1);
            services[name] = Object.fromEntries(service.methodsArray.map((one) => [one.name, methodOf(name, one, options)]));
          }
        return services;
      };`;
  };
  return replacePackage('@grpc/proto-loader', etcd3, contents);
}

/** Replaces a piece of a package's file; an update that does not have the piece any more fails the build. */
function replacePiece(path, piece, by) {
  const file = join(ROOT, 'node_modules', path);
  const load = (id) => {
    if (id !== file) return null;
    const text = readFileSync(file, 'utf8');
    if (!text.includes(piece)) throw new Error(`${path} does not contain ${piece}; correct build.mjs`);
    return text.replaceAll(piece, by);
  };
  return { name: `a piece of ${path}`, load };
}

/**
 * axios can send forms, with the types of all files there are, and can go by `fetch`, for which it loads a second client. We send no
 * form, and go by `http` only.
 */
const onlyHttp = [
  replacePackage('form-data', ROOT, () => 'module.exports = class FormData {};'),
  replacePiece('axios/lib/utils.js', 'G.FormData', 'undefined'),
  {
    name: 'no fetch',
    load: (id) =>
      /[/]axios[/]lib[/]adapters[/](fetch|xhr)\.js$/.test(id)
        ? 'export const getFetch = null; export default null;'
        : null,
  },
];

/** The logger can write from a thread. Ours does not, and needs not know whether it is in one. */
const noThreadStream = [
  replacePackage('thread-stream', ROOT, () => 'module.exports = class ThreadStream {};'),
  replacePiece('pino/lib/tools.js', "require('worker_threads')", '{ isMainThread: true }'),
];

/** Built-in modules that not every sidecar needs: they weigh some MiB, and are a quarter of the start. */
const BY_NEED =
  /^(?:node:)?(assert|child_process|crypto|http|http2|https|perf_hooks|tls|vm|worker_threads|zlib)$/;

/** Loads each of these when something of it is used first, also where a library imports it at its top. */
const builtInsByNeed = {
  name: 'built-in modules by need',
  resolveId: (id, importer) => {
    const [, name] = BY_NEED.exec(id) ?? [];
    return name === undefined || importer?.endsWith('.by-need.cjs')
      ? null
      : join(ROOT, `${name}.by-need.cjs`);
  },
  load: (id) => {
    if (!id.endsWith('.by-need.cjs')) return null;
    const name = basename(id, '.by-need.cjs');
    const names = Object.keys(createRequire(import.meta.url)(`node:${name}`));
    return `let loaded;
      for (const name of ${JSON.stringify(names)})
        Object.defineProperty(exports, name, { enumerable: true, get: () => (loaded ??= require('node:${name}'))[name] });`;
  },
};

/**
 * What every command loads, in one file: to find and link a module costs a millisecond, and there are some three hundred. What the
 * worker's thread loads as well is a file of its own.
 */
function fewFiles() {
  const [core, worker] = [new Set(), new Set()];
  const plugin = {
    name: 'few files',
    buildEnd() {
      const add = (id, to, importsOf) => {
        if (to.has(id)) return;
        to.add(id);
        for (const imported of importsOf(this.getModuleInfo(id))) add(imported, to, importsOf);
      };
      for (const first of ['src/cli/cli.ts', 'src/lib/log.ts'])
        add(join(ROOT, first), core, (info) => info?.importedIds ?? []);
      add(join(ROOT, WORKER), worker, (info) => [
        ...(info?.importedIds ?? []),
        ...(info?.dynamicallyImportedIds ?? []),
      ]);
    },
  };
  const groups = [
    { name: 'document', test: (id) => worker.has(id) && core.has(id) },
    { name: 'core', test: (id) => core.has(id) && !worker.has(id) },
  ];
  return { plugin, groups };
}

/** The engine keeps the text of a file in memory: with one letter beyond Latin-1 in it, at two bytes for each letter. */
const onlyAscii = {
  name: 'only ASCII',
  generateBundle(_options, files) {
    for (const file of Object.values(files))
      if (file.type === 'chunk')
        file.code = file.code.replaceAll(
          /[^\0-\x7f]/g,
          (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
        );
  },
};

/** The program, in chunks that are loaded by need. */
async function bundle(entry, folder) {
  const dir = resolve(ROOT, folder);
  rmSync(dir, { recursive: true, force: true });
  const { plugin, groups } = fewFiles();
  const name = basename(entry, '.ts');
  await build({
    ...COMMON,
    input: { [name]: resolve(ROOT, entry), 'document-worker': WORKER },
    plugins: [etcdProtocol(), onlyHttp, noThreadStream, builtInsByNeed, plugin, onlyAscii],
    output: {
      dir,
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name]-[hash].js',
      codeSplitting: { groups },
      // Names stay: what goes wrong is reported with them.
      minify: { compress: true, mangle: false, codegen: true },
      comments: false,
    },
  });
  chmodSync(join(dir, `${name}.js`), 0o755);
}

/** A file that is bundled still finds what lies beside it. */
const ownPlaces = {
  name: 'own places',
  load: (id) =>
    /[/](test|bench)[/].*\.ts$/.test(id)
      ? readFileSync(id, 'utf8')
          .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href))
          .replaceAll('import.meta.dirname', JSON.stringify(dirname(id)))
      : null,
};

/** Runs it in this process, so that signals and the exit code are its own. */
async function runProgram(source, words) {
  const program = join(ROOT, '.cache/bench', `${basename(source, '.ts')}.mjs`);
  await build({
    ...COMMON,
    input: source,
    external: (id) => !id.startsWith('.') && !isAbsolute(id),
    plugins: [ownPlaces],
    output: { file: program, codeSplitting: false },
  });
  process.argv = [process.argv[0], program, ...words];
  await import(program);
}

const [what, first, ...rest] = process.argv.slice(2);
if (what === 'into') await bundle(rest[0], first);
else await bundle('src/main.ts', 'dist');
if (what === 'run') await runProgram(first, rest);
