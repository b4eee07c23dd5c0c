// Values that look like secrets do not get into what people are shown.
import { expect, it } from 'vitest';
import { maskLines } from '../../../src/lib/mask-lines.ts';

it.each([
  ['-  "password": "hunter2",', '-  "password": ***'],
  ['+db_password: hunter2', '+db_password: ***'],
  ['+API_KEY=abc def', '+API_KEY=***'],
  ['   proxy_set_header Authorization "Bearer abc";', '   proxy_set_header Authorization ***'],
  ['+url = "postgres://me:hunter2@db/app"', '+url = "postgres://***@db/app"'],
  ['-stats_token hunter2', '-stats_token ***'],
  ['+client-secret: ""', '+client-secret: ***'],
])('%s', (line, shown) => {
  expect(maskLines(line)).toBe(shown);
});

it('takes out private keys, also over several lines', () => {
  for (const sign of '+- ') {
    const lines = [
      '-----BEGIN EC PRIVATE KEY-----',
      'MHcCAQEEI',
      'QW9u',
      '-----END EC PRIVATE KEY-----',
      'more',
    ];
    const shown = maskLines(lines.map((line) => sign + line).join('\n'));
    expect(shown).not.toMatch(/MHcC|QW9u/);
    expect(shown).toContain(`${sign}more`);
  }
  const part = 'MHcCAQEEIAbcdefghijklmnopqrstuvwxyz0123456789+/=';
  expect(maskLines(` ${part}\n+-----END EC PRIVATE KEY-----`)).not.toContain(part);
});

it('leaves everything else as it is', () => {
  const text = `${'='.repeat(67)}\n@@ -1,2 +1,2 @@\n-timeout: 5s\n+timeout: 50s\n url: http://a/b?c=d\n keys: [a]\n`;
  expect(maskLines(text)).toBe(text);
});

it('takes no longer for hostile lines', () => {
  const startMs = performance.now();
  maskLines(`password${' '.repeat(100_000)}\n${'://'.repeat(30_000)}\n${'token'.repeat(20_000)}`);
  expect(performance.now() - startMs).toBeLessThan(2_000);
});
