// The page in a real browser, at the width of a phone and of a desk: nothing overlaps, and nothing has to be scrolled sideways.
// Behind a path prefix its links lead where they should. Prints a line for each and leaves screenshots. `npm run browser` needs Chromium.

import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { PAGE_HEADERS, renderPage } from '../../src/server/page.ts';
import type { Status, TargetStatus } from '../../src/server/status-shape.ts';
import { AT, NOW, ONE, SOURCE, statusWith, TARGET, TWO } from '../support/cli/served.ts';
import { findOnPath } from '../support/servers/find-program.ts';
import { portOf } from '../support/servers/ports.ts';

const run = promisify(execFile);
const SHOTS = join(resolve(import.meta.dirname, '../..'), '.cache/page');
const WIDTHS = [360, 1280];
const PREFIX = '/tools/sidecar/';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const LONG = `https://${'very-long-host-name.'.repeat(8)}example/${'path'.repeat(40)}`;
const VERSION = { revision: 'x'.repeat(150), digest: DIGEST, rendering: DIGEST, at: AT };

/** Everything that can be long is, and everything that can be there is. */
const TROUBLED: TargetStatus = {
  ...TARGET,
  ...{ outcome: 'rollback-failed', code: 'confirm.no-answer', reloadOwed: true, pinned: true },
  message: `Cannot confirm revision "${DIGEST}": ${LONG} did not answer. It worked before, so it stays.`,
  ...{ output: `/${'directory/'.repeat(20)}app.conf`, hook: `POST ${LONG}`, nextAttemptAt: AT },
  ...{ desired: VERSION, attempted: VERSION, running: { ...VERSION, evidence: 'answered alive workers' } },
  pin: { generation: 1, at: AT, by: 'alice on pod-1 (control socket)', reason: 'why'.repeat(90) },
  trial: { since: AT, until: AT, waitsFor: ['CONFIRM_PERIOD', 'CONFIRM_WORKERS', 'CONFIRM_URL'] },
  sources: [{ ...SOURCE, url: LONG, up: false, error: { code: 'source.timeout', message: LONG } }, SOURCE],
  template: { ...SOURCE, url: LONG },
  generations: [{ ...TWO, revision: 'x'.repeat(150) }, ONE],
  blocked: [
    { ...VERSION, outcome: 'unconfirmed', code: 'confirm.no-answer', message: `It answered 500: ${LONG}` },
  ],
  history: [
    {
      ...TARGET.history[0],
      outcome: 'failed',
      code: 'http.refused',
      message: LONG,
      count: 12,
      at: AT,
      output: `${LONG}\n`.repeat(3),
    },
  ],
  difference: `--- a/app.conf\n+++ b/app.conf\n@@ -1 +1 @@\n-${'old '.repeat(80)}\n+${'n'.repeat(400)}\n`,
  processes: [7, 4_194_304].map((pid) => ({
    ...{ pid, program: 'fifteen-letters', user: 4_294_967_294, ageSeconds: 86_400_000, memoryBytes: 2 ** 40 },
    isApplication: pid === 7,
  })),
};

const STATES: Readonly<Record<string, Status>> = {
  well: statusWith(TARGET),
  troubled: {
    ...statusWith(TROUBLED),
    instance: 'a-pod-with-a-very-long-name-5d8f9c7b6d-x2x4z',
    ready: false,
    fresh: false,
  },
};

/** Runs in the browser: measures the page in a frame of that width. */
const MEASURE = `
const frame = document.querySelector('iframe');
frame.onload = () => {
  const page = frame.contentDocument;
  const rects = [];
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.data.trim() === '') continue;
    const range = page.createRange();
    range.selectNodeContents(node);
    for (const { left, right, top, bottom, width } of range.getClientRects())
      if (width > 0) rects.push({ node, left, right, top, bottom });
  }
  const common = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
  const overlaps = rects.flatMap((a, i) => rects.slice(i + 1).filter((b) => b.node !== a.node && common(a, b)).map((b) => a.node.data.trim().slice(0, 30) + ' / ' + b.node.data.trim().slice(0, 30)));
  const links = [...page.querySelectorAll('a')].map((a) => new URL(a.getAttribute('href'), location.origin + '${PREFIX}').pathname);
  const result = { width: page.documentElement.scrollWidth, texts: rects.length, overlaps, links };
  const shown = document.createElement('pre');
  shown.id = 'result';
  shown.textContent = JSON.stringify(result);
  document.body.append(shown);
};
`;

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;');

const answer: RequestListener = ({ url = '' }, response) => {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const page = renderPage(STATES[searchParams.get('state') ?? ''] ?? statusWith(TARGET), NOW);
  if (pathname === PREFIX) {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', ...PAGE_HEADERS }).end(page);
    return;
  }
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
  response.end(`<!doctype html><body style="margin:0"><script>window.addEventListener('DOMContentLoaded', () => {${MEASURE}
frame.srcdoc = frame.dataset.page; });</script><iframe style="border:0;height:800px;width:${searchParams.get('width')}px" data-page="${escaped(page)}"></iframe>`);
};

interface Measured {
  readonly width: number;
  readonly texts: number;
  readonly overlaps: readonly string[];
  readonly links: readonly string[];
}

async function browse(chromium: string, words: readonly string[]): Promise<string> {
  const own = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--hide-scrollbars',
    '--virtual-time-budget=3000',
  ];
  const { stdout } = await run(chromium, [...own, ...words], { timeout: 120_000, maxBuffer: 2 ** 26 });
  return stdout;
}

function faultsOf({ width, texts, overlaps, links }: Measured, wanted: number): readonly string[] {
  return [
    ...(texts < 20 ? [`only ${texts} texts are shown`] : []),
    ...(width > wanted ? [`it is ${width} px wide`] : []),
    ...overlaps.map((pair) => `these overlap: ${pair}`),
    ...(links.join(' ') === `${PREFIX}status ${PREFIX}metrics` ? [] : [`links lead to ${links.join(' ')}`]),
  ];
}

const chromium = findOnPath('chromium') ?? findOnPath('google-chrome');
if (chromium === undefined) {
  console.error('Cannot look at the page: there is no Chromium. Install it: apt-get install chromium');
  process.exit(1);
}
mkdirSync(SHOTS, { recursive: true });
const server = createServer(answer);
await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
const origin = `http://127.0.0.1:${portOf(server)}`;
let failed = 0;
for (const state of Object.keys(STATES)) {
  for (const width of WIDTHS) {
    const dom = await browse(chromium, ['--dump-dom', `${origin}/measure?state=${state}&width=${width}`]);
    const found =
      /<pre id="result">(.*?)<\/pre>/s.exec(dom)?.[1]?.replaceAll('&amp;', '&') ??
      '{"texts":0,"width":0,"overlaps":[],"links":[]}';
    const faults = faultsOf(JSON.parse(found), width);
    const shot = join(SHOTS, `${state}-${width}.png`);
    await browse(chromium, [
      `--window-size=${width},1600`,
      `--screenshot=${shot}`,
      `${origin}${PREFIX}?state=${state}`,
    ]);
    console.log(`${state} at ${width} px: ${faults.length === 0 ? 'good' : faults.join('; ')} (${shot})`);
    failed += faults.length;
  }
}
server.close();
process.exitCode = failed === 0 ? 0 : 1;
