// A directory output with many files: what is done with them is done bit by bit.
import { existsSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openPublisher } from '../../../src/publish/publisher.ts';
import { GRACE_MS } from '../../../src/publish/retired.ts';
import { until } from '../../support/e2e/until.ts';
import { publishNow } from '../../support/publish/publish-now.ts';
import { generation, scratch } from '../../support/publish/scratch.ts';

const FILES = 2_000;

/** Names in folders and beside them; one of the values can be chosen. */
const many = (chosen: string) =>
  generation(
    Object.fromEntries(
      Array.from({ length: FILES }, (_, at) => [
        at % 2 === 0 ? `file-${at}` : `folder-${at % 20}/file-${at}`,
        at === 7 ? chosen : `${at}`,
      ]),
    ),
  );

describe('a directory of many files', () => {
  it('is looked at in slices with the result of one look, and the event loop turns meanwhile', async () => {
    const root = scratch();
    const publisher = openPublisher({ kind: 'directory', path: root }, null);
    const wanted = many('chosen');
    await publishNow(publisher, wanted);
    let turns = 0;
    const counting = setInterval(() => {
      turns += 1;
    }, 1);
    const volume = await publisher.lookInSlices();
    clearInterval(counting);
    expect(volume).toEqual(publisher.look());
    expect(volume.rendering).toBe(wanted.rendering);
    expect(turns).toBeGreaterThan(2);
    writeFileSync(join(root, 'folder-7/file-7'), 'tamper');
    expect((await publisher.lookInSlices()).rendering).not.toBe(wanted.rendering);
    expect(await publisher.lookInSlices()).toEqual(publisher.look());
  });

  it('is removed bit by bit once its grace time is over, and nothing that a link in it leads to', async () => {
    const root = scratch();
    const victim = scratch();
    writeFileSync(join(victim, 'file'), 'precious');
    const publisher = openPublisher({ kind: 'directory', path: root }, null);
    await publishNow(publisher, many('1'));
    const first = join(root, readlinkSync(join(root, '..data')));
    symlinkSync(victim, join(first, 'folder-7/planted'));
    symlinkSync(victim, join(root, '..gen-0123456789ab'));
    await publishNow(publisher, many('2'));
    publisher.prune(0);
    publisher.prune(GRACE_MS);
    // Again while it is at work: the same directory is not begun twice.
    publisher.prune(GRACE_MS);
    const generations = (): readonly string[] =>
      readdirSync(root).filter((name) => name.startsWith('..gen-'));
    await until('one generation is left', () => generations().length === 1);
    expect(existsSync(first)).toBe(false);
    expect(readdirSync(victim)).toEqual(['file']);
    expect(publisher.look().rendering).toBe(many('2').rendering);
  });
});
