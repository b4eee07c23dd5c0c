// What must be true of several targets together: each has outputs of its own, and an application of its own.
import type { Loaded, Settings, Targets } from './loaded.ts';
import { type LookUps, lookUps, relationOf } from './output-checks.ts';
import { shownPlace, stateDirectoryOf } from './outputs.ts';
import { describe, type RawSetting } from './raw-setting.ts';
import type { Name } from './table.ts';

type Some = Loaded<Partial<Settings>>;
type Named = readonly [name: string, loaded: Some];

/** A sentence for each pair of targets that cannot stand beside each other. */
export function crossTargets(targets: Targets<Partial<Settings>>): readonly string[] {
  const all = [...targets];
  const disk = lookUps();
  return all.flatMap((one, at) => all.slice(at + 1).flatMap((other) => clashes(one, other, disk)));
}

function clashes(one: Named, other: Named, disk: LookUps): readonly string[] {
  const pair = `targets "${one[0]}" and "${other[0]}"`;
  const output = outputsClash(one[1], other[1], disk);
  if (output !== null) return [`Cannot run ${pair}: ${output}`];
  const shared = sharedApplication(one[1], other[1]);
  if (shared === null) return [];
  return [
    `Cannot run ${pair}: both reload the same application (${shared}). One target is one application: put what it reads into one target, with several entries under outputs:`,
  ];
}

function outputsClash({ settings: a, raw }: Some, { settings: b }: Some, disk: LookUps): string | null {
  for (const { place: one } of a.OUTPUTS ?? []) {
    for (const { place: other } of b.OUTPUTS ?? []) {
      const how = relationOf(one, other, disk);
      if (how === 'same')
        return `both write OUTPUT "${raw.get('OUTPUT')?.text ?? shownPlace(one)}"; give each an output of its own`;
      if (how !== null)
        return `the output of one is inside that of the other ("${disk.real(one.path)}", "${disk.real(other.path)}"); give each a place of its own`;
    }
  }
  if (a.OUTPUT === undefined || b.OUTPUT === undefined) return null;
  const [first, second] = [disk.real(a.OUTPUT.path), disk.real(b.OUTPUT.path)];
  if (a.STATE_DIR === undefined || b.STATE_DIR === undefined) return null;
  const isSameState =
    stateDirectoryOf({ path: first }, disk.real(a.STATE_DIR)) ===
    stateDirectoryOf({ path: second }, disk.real(b.STATE_DIR));
  return isSameState
    ? `both keep their state in "${stateDirectoryOf({ path: first }, a.STATE_DIR)}"; give each a STATE_DIR of its own`
    : null;
}

/** What names an application: one of these, or one of these together. */
const APPLICATIONS: readonly (readonly Name[])[] = [
  ['APP_PROCESS', 'APP_CONTAINER'],
  ['APP_PID_FILE'],
  ['RELOAD_URL'],
  ['RELOAD_COMMAND'],
];

/** How both name it, as messages show it; null: they name different ones, or none. */
function sharedApplication(a: Some, b: Some): string | null {
  for (const names of APPLICATIONS) {
    const raw = names.flatMap((name) => a.raw.get(name) ?? []);
    const isSame = names.every((name) => a.raw.get(name)?.text.trim() === b.raw.get(name)?.text.trim());
    if (raw.length > 0 && isSame) return raw.map(shownAs).join(', ');
  }
  return null;
}

function shownAs(raw: RawSetting): string {
  return describe({ ...raw, spelled: raw.name });
}
