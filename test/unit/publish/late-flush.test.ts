// A flush that goes on after the rename: what waits for it learns how it ended.
import { closeSync, openSync } from 'node:fs';
import { expect, it } from 'vitest';
import { LateFlush } from '../../../src/publish/late-flush.ts';
import { scratch } from '../../support/publish/scratch.ts';

const open = (path: string) => {
  const fd = openSync(path, 'r');
  return { fd, path };
};

/** Far above the number of files that a process may have open. */
const NEVER_OPEN = 2 ** 30;

it('there is nothing to wait for at first, and after one that has ended', async () => {
  const late = new LateFlush();
  await late.settled();
  const directory = open(scratch());
  late.begin(directory);
  await late.settled();
  closeSync(directory.fd);
  await late.settled();
});

it('one that fails is an error each time, until it succeeds', async () => {
  const late = new LateFlush();
  const path = scratch();
  const directory = { fd: NEVER_OPEN, path };
  late.begin(directory);
  await expect(late.settled()).rejects.toMatchObject({ code: 'EBADF' });
  await expect(late.settled()).rejects.toMatchObject({ code: 'EBADF' });
  directory.fd = open(path).fd;
  await late.settled();
  closeSync(directory.fd);
});
