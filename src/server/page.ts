// The page for a person: what /status says, as one document without scripts and without anything from elsewhere.
import { createHash } from 'node:crypto';
import { ageOf, toTheSecond } from '../lib/age.ts';
import { trustIn } from '../settings/presets/describe.ts';
import type { SourceStatus, Status, TargetStatus } from './status.ts';

/** The page asks for itself again after so many seconds. */
const REFRESH_SECONDS = 10;

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222; background: #fff; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } h3 { font-size: 1rem; margin-bottom: .3rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd; overflow-wrap: anywhere; }
th { font-weight: 600; white-space: nowrap; } pre { margin: 0; white-space: pre-wrap; } .good { color: #176b2c; } .bad { color: #a31515; } .soft { color: #666; }
`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** Whatever a value might bring along, nothing runs and nothing is loaded. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  'Referrer-Policy': 'no-referrer',
};

/** A piece of the document; only `html` and `raw` make one, so that no text gets there unescaped. */
interface Html {
  readonly html: string;
}

type Part = string | number | Html | readonly Html[];

/** The page as of `now` (Unix milliseconds). */
export function renderPage(status: Status, now: number): string {
  const { version, instance, ready, fresh, targets } = status;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="${REFRESH_SECONDS}">
<title>${ready ? '' : 'not ready: '}config-sidecar ${instance}</title>
<style>${{ html: STYLE }}</style>
</head>
<body>
<h1>config-sidecar ${version} on ${instance}: ${mark(ready, 'ready', 'not ready')}, ${mark(fresh, 'fresh', 'not fresh')}</h1>
<p class="soft">As of ${toTheSecond(new Date(now).toISOString())}; <a href="/status">as JSON</a>, <a href="/metrics">metrics</a>.</p>
${Object.entries(targets).map(([name, target]) => targetSection(name, target, now))}
</body>
</html>
`.html;
}

const GOOD: readonly (string | null)[] = ['applied', 'unchanged', 'picked-up'];

function targetSection(name: string, target: TargetStatus, now: number): Html {
  const { outcome, code, message, running, lastKnownGood, desired, attempted } = target;
  const rows: readonly (readonly [string, Part])[] = [
    ...(target.trial === null
      ? []
      : [
          [
            'on trial',
            `since ${toTheSecond(target.trial.since)}, until ${toTheSecond(target.trial.until)} at the latest: ${target.trial.waitsFor.join(', ')}`,
          ] as const,
        ]),
    ['desired', version(desired, now)],
    ['attempted', version(attempted, now)],
    ['running', running === null ? 'without evidence' : html`${version(running, now)}: ${running.evidence}`],
    ['last known good', version(lastKnownGood, now)],
    ['reload', target.reloadOwed ? mark(false, '', 'owed') : 'nothing is owed'],
    ['next attempt', target.nextAttemptAt === null ? '–' : toTheSecond(target.nextAttemptAt)],
    ['pinned', target.pinned ? mark(false, '', 'yes, until "config-sidecar resume"') : 'no'],
    ...target.sources.map((source) => ['source', followed(source, now)] as const),
    ...(target.template === null ? [] : [['template', followed(target.template, now)] as const]),
    ...(target.preset === null
      ? []
      : [['preset', `${target.preset.name}, ${trustIn(target.preset)}`] as const]),
  ];
  const heading = target.trial === null ? mark(GOOD.includes(outcome), outcome ?? 'starting') : 'on trial';
  return html`<h2>${name}: ${heading}</h2>
<p>${message}${code === null ? '' : ` (${code})`}</p>
<table>${rows.map(([label, value]) => html`<tr><th>${label}</th><td>${value}</td></tr>\n`)}</table>
${generations(target, now)}${blocked(target, now)}${history(target, now)}`;
}

function generations({ generations: kept }: TargetStatus, now: number): Html {
  const rows = kept.map((one) => {
    const notes = [
      one.lastKnownGood ? 'last known good' : '',
      one.onVolume ? 'on the volume' : '',
      one.pinned ? 'pinned' : '',
    ];
    return [one.generation, one.revision, moment(one.confirmedAt, now), notes.filter(Boolean).join(', ')];
  });
  return table('Kept generations', ['generation', 'revision', 'confirmed', ''], rows);
}

function blocked({ blocked: blocks }: TargetStatus, now: number): Html {
  const rows = blocks.map(({ revision, outcome, at, message }) => [
    revision,
    outcome,
    moment(at, now),
    message,
  ]);
  return table('Blocked: known not to work', ['revision', 'outcome', 'since', 'reason'], rows);
}

function history({ history: reports }: TargetStatus, now: number): Html {
  const rows = reports.map(({ outcome, at, count, message, output }) => [
    html`${outcome}${count > 1 ? ` ×${count}` : ''}`,
    moment(at, now),
    output ? html`${message}<pre>${output}</pre>` : message,
  ]);
  return table('Outcomes', ['outcome', 'when', ''], rows);
}

function table(title: string, head: readonly string[], rows: readonly (readonly Part[])[]): Html {
  if (rows.length === 0) return html``;
  return html`<h3>${title}</h3>
<table><tr>${head.map((cell) => html`<th>${cell}</th>`)}</tr>
${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</table>
`;
}

function version(
  shown: { readonly revision: string; readonly rendering: string | null; readonly at: string } | null,
  now: number,
): Html {
  if (shown === null) return html`–`;
  const { revision, rendering, at } = shown;
  return html`revision ${revision}, <span class="soft">${rendering ?? 'not rendered'}</span>, ${moment(at, now)}`;
}

function followed({ url, up, lastContactAt, error }: SourceStatus, now: number): Html {
  const contact = lastContactAt === null ? 'never reached' : html`last contact ${moment(lastContactAt, now)}`;
  return html`${url}: ${mark(up, 'up', 'down')}, ${contact}${error === null ? '' : `: ${error.message}`}`;
}

function moment(at: string, now: number): Html {
  return html`${ageOf(at, now)} ago <span class="soft">(${toTheSecond(at)})</span>`;
}

function mark(isGood: boolean, good: string, bad = good): Html {
  return html`<span class="${isGood ? 'good' : 'bad'}">${isGood ? good : bad}</span>`;
}

function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return { html: texts.map((text, i) => text + piece(parts[i])).join('') };
}

function piece(part: Part | undefined): string {
  if (part === undefined) return '';
  if (typeof part === 'string' || typeof part === 'number') return escaped(String(part));
  return 'html' in part ? part.html : part.map((one) => one.html).join('');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '');
}
