// The page for a person: the facts of the status, and nothing that could run or be loaded.
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { PAGE_HEADERS, renderPage } from '../../../src/server/page.ts';
import type { TargetStatus } from '../../../src/server/status-shape.ts';
import { AT, NOW, ONE, SOURCE, statusWith, TARGET, TWO } from '../../support/cli/served.ts';

/** What a person reads: without tags, white space as one blank. */
function textOf(page: string): string {
  const body = page.slice(page.indexOf('<body>'));
  return body
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll('&quot;', '"')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(' :', ':')
    .replaceAll(' ,', ',');
}

const TROUBLED: TargetStatus = {
  ...TARGET,
  outcome: 'rolled-back',
  code: 'confirm.url',
  message: 'Rolled back to the last known good configuration.',
  reloadOwed: true,
  pinned: true,
  nextAttemptAt: '2026-01-31T12:05:00.250Z',
  running: null,
  sources: [{ ...SOURCE, up: false, error: { code: 'source.timeout', message: 'Cannot read it.' } }],
  template: { ...SOURCE, url: 'file:///templates', lastContactAt: null },
  generations: [TWO, { ...ONE, pinned: true }],
  blocked: [
    {
      ...{
        rendering: 'sha256:f3',
        revision: 'r3',
        digest: 'sha256:d3',
        outcome: 'unconfirmed',
        code: 'confirm.url',
        at: AT,
      },
      message: 'It answered 500.',
    },
  ],
  history: [{ outcome: 'rolled-back', code: null, message: 'Again.', count: 4, at: AT, output: 'no room' }],
};

it('shows what the status shows', () => {
  const text = textOf(renderPage(statusWith(TROUBLED), NOW));
  const facts = [
    'config-sidecar 0.1.0 on pod-1: ready, fresh',
    'default: rolled-back Rolled back to the last known good configuration. [confirm.url]',
    'desired revision r2, sha256:f2, 3 min ago (2026-01-31T12:00:00Z)',
    'running without evidence',
    'last known good revision r2, sha256:f2',
    'reload owed',
    'next attempt 2026-01-31T12:05:00Z',
    'pinned yes, until "config-sidecar resume"',
    'source file:///source/app.json: down, last contact 3 min ago (2026-01-31T12:00:00Z): Cannot read it. [source.timeout]',
    'template file:///templates: up, never reached',
    '2 r2 3 min ago (2026-01-31T12:00:00Z) last known good, on the volume',
    '1 r1 3 min ago (2026-01-31T12:00:00Z) pinned',
    'r3 unconfirmed 3 min ago (2026-01-31T12:00:00Z) It answered 500.',
    'rolled-back ×4 3 min ago (2026-01-31T12:00:00Z) Again. no room',
  ];
  for (const fact of facts) expect(text).toContain(fact);
});

it('says what the application runs, and on what evidence', () => {
  expect(textOf(renderPage(statusWith(TARGET), NOW))).toContain(
    'running revision r2, sha256:f2, 3 min ago (2026-01-31T12:00:00Z): answered alive',
  );
});

it('has nothing to run and nothing to load, and asks for itself again', () => {
  const page = renderPage(statusWith(TROUBLED), NOW);
  expect(page).not.toMatch(/<script|<img|<link|<iframe|<form| on\w+=|javascript:|https?:/i);
  expect(page).toContain('<meta http-equiv="refresh" content="10">');
});

it('permits the browser its own style and no more', () => {
  const [, style = ''] = /<style>(.*)<\/style>/s.exec(renderPage(statusWith(TARGET), NOW)) ?? [];
  const hash = createHash('sha256').update(style).digest('base64');
  expect(PAGE_HEADERS['Content-Security-Policy']).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  );
});

it('shows every text as text, wherever it comes from', () => {
  const evil = `"><script>alert('&')</script>`;
  const status = statusWith({
    ...TROUBLED,
    ...{ outcome: evil, code: evil, message: evil },
    desired: { revision: evil, digest: evil, rendering: evil, at: AT },
    attempted: { revision: evil, digest: evil, rendering: evil, at: AT },
    running: { revision: evil, digest: evil, rendering: evil, at: AT, evidence: evil },
    lastKnownGood: { revision: evil, digest: evil, rendering: evil, at: AT },
    sources: [{ ...SOURCE, url: evil, error: { code: evil, message: evil } }],
    template: { ...SOURCE, url: evil },
    generations: [{ ...TWO, revision: evil }],
    blocked: TROUBLED.blocked.map((block) => ({ ...block, revision: evil, message: evil })),
    history: TROUBLED.history.map((report) => ({ ...report, message: evil, output: evil })),
  });
  const page = renderPage(
    { ...status, instance: evil, version: evil, targets: { [evil]: status.targets['default'] ?? TARGET } },
    NOW,
  );
  expect(page).not.toContain('<script');
  expect(page).not.toContain(`alert('`);
  expect(page.split('&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;').length).toBeGreaterThan(
    20,
  );
});

it('says the outcome first, then why, then what to do, and only then the facts', () => {
  const text = textOf(renderPage(statusWith(TROUBLED), NOW));
  const order = [
    'default: rolled-back',
    'Rolled back to the last known good configuration.',
    'The source file:///source/app.json has been silent for 3 min: what changed there since then is not known here.',
    'A configuration did not work and is not tried again',
    'A generation was chosen by hand and stays: "config-sidecar resume" follows the source again.',
    'The application has not been notified yet; the next try is at 2026-01-31T12:05:00Z.',
    'desired revision r2',
  ].map((part) => text.indexOf(part));
  expect(order).not.toContain(-1);
  expect(order).toEqual([...order].sort((a, b) => a - b));
});

it('asks for nothing when all is well', () => {
  expect(renderPage(statusWith(TARGET), NOW)).not.toContain('class="next"');
});

it('works behind a path prefix: its links are relative', () => {
  const links = [...renderPage(statusWith(TROUBLED), NOW).matchAll(/(?:href|src|action)="([^"]*)"/g)];
  expect(links.map(([, link]) => link)).toEqual(['status', 'metrics']);
});

it('cuts digests to twelve digits', () => {
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
  const version = { revision: digest, digest, rendering: digest, at: AT };
  const text = textOf(
    renderPage(statusWith({ ...TARGET, desired: version, message: `Cannot confirm "${digest}".` }), NOW),
  );
  expect(text).toContain('desired revision 0123456789ab, 0123456789ab, 3 min ago');
  expect(text).toContain('Cannot confirm "0123456789ab".');
});
