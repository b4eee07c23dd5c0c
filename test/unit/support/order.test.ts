// The files that are known to take long are files that there are.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LONG } from '../../support/order.ts';

const PROJECT = new URL('../../..', import.meta.url).pathname;

test('every file that is put first is there', () => {
  expect(Object.keys(LONG).filter((path) => !existsSync(join(PROJECT, path)))).toEqual([]);
});
