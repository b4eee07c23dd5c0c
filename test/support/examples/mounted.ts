// A directory as a cluster mounts it: every change is a new directory behind `..data`, swapped by one rename.
import {
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Makes the directory and gives what replaces its files, all at once. */
export function openMount(folder: string): (files: Readonly<Record<string, string>>) => void {
  mkdirSync(folder);
  let count = 0;
  return (files) => {
    const name = `..generation-${count++}`;
    mkdirSync(join(folder, name));
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, name, file), text);
    const before = readdirSync(folder).includes('..data') ? readlinkSync(join(folder, '..data')) : null;
    symlinkSync(name, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    const visible = readdirSync(folder).filter((one) => !one.startsWith('..'));
    for (const file of Object.keys(files)) {
      if (!visible.includes(file)) symlinkSync(join('..data', file), join(folder, file));
    }
    for (const file of visible) if (!(file in files)) rmSync(join(folder, file));
    if (before !== null) rmSync(join(folder, before), { recursive: true });
  };
}
