// The long half of the tests: what "npm test" leaves out.
import { defineConfig } from 'vitest/config';
import { CAMPAIGNS, COMMON } from './vitest.config.ts';

export default defineConfig({
  test: {
    ...COMMON,
    include: CAMPAIGNS,
  },
});
