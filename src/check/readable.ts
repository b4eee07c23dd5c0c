// Whether the user the application runs as may open what is published.

import { readFileSync, statSync } from 'node:fs';
import { processFolder } from '../application/process/proc.ts';
import type { ProcessId } from '../ledger/types.ts';
import type { Settings } from '../settings/settings.ts';
import { type Finding, fail } from './finding.ts';

export interface Application {
  readonly id: ProcessId;
  /** `4711 (nginx)`. */
  readonly name: string;
}

export interface User {
  readonly uid: number;
  readonly groups: readonly number[];
  /** CAP_DAC_OVERRIDE, or the weaker CAP_DAC_READ_SEARCH. */
  readonly readsAll: boolean;
  /** CAP_DAC_OVERRIDE. */
  readonly writesAll: boolean;
}

const WRITES_ALL = 0b10n;
const READS_ALL = 0b110n;

/** Null when it is gone, or may not be looked at. */
export function userOf({ pid }: ProcessId): User | null {
  try {
    const text = readFileSync(`${processFolder(pid)}/status`, 'latin1');
    const numbers = (line: RegExp): readonly number[] =>
      (line.exec(text)?.[1] ?? '').match(/\d+/g)?.map(Number) ?? [];
    const [, uid = -1] = numbers(/^Uid:(.*)$/m);
    const [, gid = -1] = numbers(/^Gid:(.*)$/m);
    const capabilities = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)/m.exec(text)?.[1] ?? '0'}`);
    return {
      uid,
      groups: [gid, ...numbers(/^Groups:(.*)$/m)],
      readsAll: (capabilities & READS_ALL) !== 0n,
      writesAll: (capabilities & WRITES_ALL) !== 0n,
    };
  } catch {
    return null;
  }
}

/** By owner, group and mode as they will be; access lists are not looked at. */
export function checkReadable(
  { OUTPUT_MODE, OUTPUT_OWNER }: Settings,
  { id, name }: Application,
  folder: string,
): readonly Finding[] {
  const user = userOf(id);
  if (user === null || user.readsAll) return [];
  const directory = statSync(folder);
  const inherited = (directory.mode & 0o2000) !== 0 ? directory.gid : (process.getegid?.() ?? -1);
  const file = {
    uid: OUTPUT_OWNER?.uid ?? process.geteuid?.() ?? -1,
    gid: OUTPUT_OWNER?.gid ?? inherited,
    mode: OUTPUT_MODE,
  };
  if (!mayDo(directory, user, 1)) {
    const message = `Process ${name} runs as user ${user.uid}, who may not enter "${folder}" (user ${directory.uid}, group ${directory.gid}, mode ${(directory.mode & 0o7777).toString(8)}).`;
    return [
      fail(
        'mount',
        'mount.not-readable',
        message,
        'Give both containers the same runAsUser or fsGroup; the group must be allowed to enter the directory (mode 0750).',
      ),
    ];
  }
  if (mayDo(file, user, 4)) return [];
  const message = `Process ${name} runs as user ${user.uid}, who may not read files of user ${file.uid}, group ${file.gid}, mode ${OUTPUT_MODE.toString(8).padStart(4, '0')}.`;
  return [
    fail(
      'mount',
      'mount.not-readable',
      message,
      'Give both containers the same runAsUser, or the same fsGroup with OUTPUT_MODE 0640. OUTPUT_MODE 0644 lets every user read it: only where it holds no secret.',
    ),
  ];
}

/** `bit`: 4 to read, 1 to enter. */
function mayDo(what: { uid: number; gid: number; mode: number }, { uid, groups }: User, bit: 1 | 4): boolean {
  if (what.uid === uid) return (what.mode & (bit << 6)) !== 0;
  if (groups.includes(what.gid)) return (what.mode & (bit << 3)) !== 0;
  return (what.mode & bit) !== 0;
}
