// The file output: one file, replaced by a rename beside it.

import * as fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoOf, SidecarError } from '../lib/errors.ts';
import { type DescribedFile, digestOfFiles, type Generation } from '../render/generation.ts';
import type { Owner } from '../settings/types.ts';
import { diskError, removeIfPossible, temporaryPrefix, writeFileAtomic } from './atomic-file.ts';
import type { Publisher, Volume } from './publisher.ts';

export function filePublisher(path: string, owner: Owner | null): Publisher {
  const name = basename(path);
  return {
    look: () => lookAtFile(path, owner),
    lookInSlices: async () => lookAtFile(path, owner),
    read: () => {
      const file = readExisting(path, owner);
      return file === null ? [] : [file];
    },
    isThere: () => fs.existsSync(path),
    publish: (generation, meanwhile = () => {}) => publishFile(path, generation, meanwhile),
    recover: () => {
      for (const entry of listed(dirname(path))) {
        if (entry.startsWith(temporaryPrefix(name))) removeIfPossible(join(dirname(path), entry));
      }
    },
    prune: () => {},
  };
}

async function publishFile(path: string, generation: Generation, meanwhile: () => void): Promise<void> {
  const [file] = generation.files;
  if (file === undefined || generation.files.length !== 1) {
    throw new SidecarError(
      `Cannot publish "${path}": ${generation.files.length} files do not fit a file output. End OUTPUT with a slash for a directory.`,
      { code: 'publish.shape', stage: 'publish' },
    );
  }
  try {
    const { mode, owner } = generation;
    await writeFileAtomic(path, file.bytes, { mode, owner, meanwhile });
  } catch (error) {
    throw diskError(error, path, file.bytes.length);
  }
}

function lookAtFile(path: string, owner: Owner | null): Volume {
  try {
    const file = readExisting(path, owner);
    if (file === null) return nothingThere(path);
    return { rendering: digestOfFiles([file]), changedAt: file.changedAt, problem: null };
  } catch (error) {
    const errno = errnoOf(error);
    const unusable = errno === 'ELOOP' || errno === 'EACCES';
    if (unusable) return { rendering: `unreadable:${errno}`, changedAt: null, problem: null };
    return { rendering: null, changedAt: null, problem: diskError(error, path) };
  }
}

/** Not through a link: one that somebody put there is replaced by the next publication, never followed. */
function readExisting(
  path: string,
  owner: Owner | null,
): (DescribedFile & { readonly changedAt: number }) | null {
  const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
  if (fs.lstatSync(path, { throwIfNoEntry: false }) === undefined) return null;
  const fd = fs.openSync(path, flags);
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'EISDIR' });
    const described = { mode: stat.mode & 0o7777, owner: ownerOf(stat, owner), changedAt: stat.ctimeMs };
    return { name: basename(path), bytes: fs.readFileSync(fd), ...described };
  } finally {
    fs.closeSync(fd);
  }
}

function nothingThere(path: string): Volume {
  const missing = !fs.existsSync(dirname(path));
  return { rendering: null, changedAt: null, problem: missing ? diskError({ code: 'ENOENT' }, path) : null };
}

/** The owner as far as the settings name one, so that what nobody asked for does not count as a difference. */
export function ownerOf(stat: fs.Stats, wanted: Owner | null): Owner | null {
  return wanted === null ? null : { uid: stat.uid, gid: wanted.gid === null ? null : stat.gid };
}

/** The names in a directory, none when it cannot be read. */
export function listed(directory: string): readonly string[] {
  try {
    return fs.readdirSync(directory);
  } catch {
    return [];
  }
}
