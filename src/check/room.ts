// Whether a volume has room for what would be published: beside the version that is there, one more.
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import type { GenerationFile } from '../render/generation.ts';
import { type Area, type Finding, fail, warn } from './finding.ts';

export interface RoomQuestion {
  /** What would be published; null when that is not known. */
  readonly files: readonly GenerationFile[] | null;
  /** How many more versions there will be at once. */
  readonly versions: number;
}

/** Nothing when there is enough, or when that cannot be said. */
export function checkRoom(
  area: Area,
  directory: string,
  { files: wanted, versions }: RoomQuestion,
): readonly Finding[] {
  const found = statIfPossible(directory);
  if (wanted === null || found === null || found.blocks === 0) return [];
  const { bavail, bsize, files, ffree } = found;
  const free = bavail * bsize;
  const needed = sizeOf(wanted, bsize);
  const mend = 'Make the volume larger (sizeLimit of an emptyDir), or the configuration smaller.';
  const sentence = (what: string): string =>
    `On the volume of "${directory}" ${free} bytes are free, ${what}`;
  if (files > 0 && ffree < wanted.length + 2) {
    const message = `On the volume of "${directory}" ${ffree} more files can be made, and ${wanted.length + 2} are needed.`;
    return [fail(area, 'publish.no-space', message, mend)];
  }
  if (free < needed) return [fail(area, 'publish.no-space', sentence(`and ${needed} are needed.`), mend)];
  if (free >= needed * versions) return [];
  const message = sentence(
    `and ${needed * versions} are needed once there are ${versions} versions beside each other.`,
  );
  return [warn(area, 'publish.little-space', message, mend)];
}

/** Of the nearest directory that is there: the last part may still have to be made. */
function statIfPossible(directory: string): fs.StatsFs | null {
  for (const path of [directory, dirname(directory)]) {
    try {
      return fs.statfsSync(path);
    } catch {}
  }
  return null;
}

/** Files take whole blocks, and a directory one. */
function sizeOf(files: readonly GenerationFile[], blockBytes: number): number {
  return files.reduce(
    (sum, { bytes }) => sum + Math.ceil(bytes.length / blockBytes) * blockBytes,
    blockBytes,
  );
}
