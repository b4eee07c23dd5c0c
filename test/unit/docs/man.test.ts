// The man page, which the package brings along.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COMMAND_NAMES } from '../../../src/cli/commands.ts';
import { usageOf } from '../../../src/cli/help.ts';
import { manPage } from '../../../src/cli/man.ts';
import { flagOf, NAMES } from '../../../src/settings/table.ts';
import { ROOT } from '../../support/docs/pages.ts';

const UPDATE = 'npx vitest run --config test/vitest.config.ts --project unit test/unit/docs -u';

test(`man/config-sidecar.1 is the man page as the tables have it ("${UPDATE}" writes it)`, async () => {
  const heads = manPage()
    .split('\n')
    .filter((line) => line.startsWith('.B '))
    .map((line) => line.slice('.B '.length).replaceAll('\\-', '-'));
  for (const name of COMMAND_NAMES) expect(heads).toContain(usageOf(name).replace('config-sidecar ', ''));
  for (const name of NAMES) {
    const flag = flagOf(name);
    expect(heads.filter((head) => head.split(/[ [=]/)[0] === flag)).toHaveLength(1);
  }
  await expect(manPage()).toMatchFileSnapshot(join(ROOT, 'man/config-sidecar.1'));
});
