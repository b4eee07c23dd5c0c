// Builds the program; `npm run build` is all a user needs.
//
//   node build.mjs                        dist/, out of src/main.ts
//   node build.mjs into FOLDER ENTRY      the same with another entry, into another folder
//   node build.mjs run PROGRAM [WORD]...  dist/, then compiles and runs a program of test/ or bench/
import { readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
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

/** Makes a module of a text in place of one that is imported by name. */
function replaceModule(name, contents, resolveDir) {
  return {
    name: `in place of ${name}`,
    setup: ({ onResolve, onLoad }) => {
      const namespace = name.replaceAll(/\W/g, '-');
      onResolve({ filter: new RegExp(`^${name}$`) }, () => ({ path: name, namespace }));
      onLoad({ filter: /.*/, namespace }, () => ({ contents: contents(), resolveDir }));
    },
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
  return replaceModule('@grpc/proto-loader', contents, etcd3);
}

/** axios can send forms, for which it carries the types of all files there are. We send none. */
const noForms = replaceModule('form-data', () => 'module.exports = class FormData {};', ROOT);

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
    plugins: [etcdProtocol(), noForms],
  });
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
