// Other commands of this program, told from other Node.js programs.
import { execFileSync } from 'node:child_process';
import { copyFileSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { processFolder, readArguments } from '../../../../src/application/process/proc.ts';
import { createStage, until } from '../../../support/application/process/apart.ts';
import { compile } from '../../../support/publish/programs.ts';

test('a command of ours runs the same script, by whatever path, with whatever options of Node.js', async (context) => {
  const stage = createStage(context);
  const program = compile('application/process/own-command-program.ts');
  context.onTestFinished(program.remove);
  const folder = dirname(program.path);
  // Beside it: it may import other files of its folder.
  const other = join(folder, 'other.js');
  symlinkSync(program.path, stage.at('link'));
  copyFileSync(program.path, other);
  const inFolder = (folder: string, ...words: string[]): readonly string[] => [
    ...['sh', '-c', 'cd "$0" && exec "$@"', folder, process.execPath],
    ...words,
  ];
  const ids = [
    stage.start([process.execPath, program.path]),
    stage.start([process.execPath, '--conditions', 'development', stage.at('link')]),
    stage.start(inFolder(folder, basename(program.path))),
    stage.start([process.execPath, other]),
    stage.start(['sh', '-c', 'sleep 600; true', program.path]),
  ];
  for (const { pid } of ids.slice(0, 4)) {
    await until('Node.js runs', () => readArguments(processFolder(pid))[0] === process.execPath);
  }
  const words = [program.path, ...ids.map(({ pid }) => String(pid)), String(process.pid)];
  const printed = execFileSync(process.execPath, words, { encoding: 'utf8' });
  expect(JSON.parse(printed)).toEqual([true, true, true, false, false, false]);
});
