// The page for a person: what /status says, as one document without scripts and without anything from elsewhere.
import { createHash } from 'node:crypto';
import { ageOf, toTheSecond } from '../lib/age.ts';
import { trustIn } from '../settings/presets/describe.ts';
import type { SourceStatus, Status, TargetStatus } from './status.ts';

/** The page asks for itself again after so many seconds. */
const REFRESH_SECONDS = 10;

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 62rem; padding: 0 1rem; color: #222; background: #fff; overflow-wrap: anywhere; }
h1 { font-size: 1rem; font-weight: 600; } h2 { font-size: 1.7rem; line-height: 1.2; margin: 1.5rem 0 .3rem; } h3 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
p { margin: .3rem 0; } .what { font-size: 1.1rem; } .next { border-left: 4px solid #a31515; padding: .2rem .8rem; background: #fdf3f3; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd; }
th { font-weight: 600; } .facts th { white-space: nowrap; width: 9rem; } pre { margin: 0; white-space: pre-wrap; } .good { color: #176b2c; } .bad { color: #a31515; } .soft { color: #666; }
@media (max-width: 40rem) { table, tbody, tr, th, td { display: block; width: auto; } tr { border-bottom: 1px solid #ddd; padding: .2rem 0; } th, td { border: 0; padding: 0; } .head { display: none; } .facts th { width: auto; } }
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
${Object.entries(targets).map(([name, target]) => targetSection(name, target, now))}
<p class="soft">As of ${toTheSecond(new Date(now).toISOString())}; <a href="status">as JSON</a>, <a href="metrics">metrics</a>.</p>
</body>
</html>
`.html;
}

const GOOD: readonly (string | null)[] = ['applied', 'unchanged', 'picked-up'];

/** The outcome first, then what to do, then the facts behind it. */
function targetSection(name: string, target: TargetStatus, now: number): Html {
  const { outcome, code, message, trial } = target;
  const heading = trial === null ? mark(GOOD.includes(outcome), outcome ?? 'starting') : 'on trial';
  const steps = nextSteps(target, now);
  return html`<h2>${name}: ${heading}</h2>
<p class="what">${message}${code === null ? '' : html` <span class="soft">(${code})</span>`}</p>
${steps.map((step) => html`<p class="next">${step}</p>\n`)}
<table class="facts">${facts(target, now).map(([label, value]) => html`<tr><th>${label}</th><td>${value}</td></tr>\n`)}</table>
${generations(target, now)}${blocked(target, now)}${history(target, now)}`;
}

/** What a person can do, or has to wait for; none when all is well. */
function nextSteps(target: TargetStatus, now: number): readonly string[] {
  const { outcome, sources, pinned, reloadOwed, nextAttemptAt, blocked: blocks } = target;
  const silent = sources.filter(({ up }) => !up);
  return [
    ...silent.map(({ url, lastContactAt }) => {
      const since =
        lastContactAt === null ? 'has never answered' : `has been silent for ${ageOf(lastContactAt, now)}`;
      return `The source ${url} ${since}: what runs may not be the newest.`;
    }),
    ...(outcome === 'rejected'
      ? ['Correct the configuration in the source; the one before stays in use.']
      : []),
    ...(blocks.length > 0
      ? [
          'A configuration did not work and is not tried again: change it in the source, or run "config-sidecar sync --retry".',
        ]
      : []),
    ...(pinned
      ? ['A generation was chosen by hand and stays: "config-sidecar resume" follows the source again.']
      : []),
    ...(reloadOwed
      ? [
          `The application has not been notified yet${nextAttemptAt === null ? '' : `; the next try is at ${toTheSecond(nextAttemptAt)}`}. "config-sidecar check" says what is in the way.`,
        ]
      : []),
  ];
}

function facts(target: TargetStatus, now: number): readonly (readonly [string, Part])[] {
  const { running, lastKnownGood, desired, attempted, trial, template, preset } = target;
  const all: readonly (readonly [string, Part] | null)[] = [
    trial && [
      'on trial',
      `since ${toTheSecond(trial.since)}, until ${toTheSecond(trial.until)} at the latest: ${trial.waitsFor.join(', ')}`,
    ],
    ['desired', version(desired, now)],
    ['attempted', version(attempted, now)],
    ['running', running === null ? 'without evidence' : html`${version(running, now)}: ${running.evidence}`],
    ['last known good', version(lastKnownGood, now)],
    ['reload', target.reloadOwed ? mark(false, '', 'owed') : 'nothing is owed'],
    ['next attempt', target.nextAttemptAt === null ? '–' : toTheSecond(target.nextAttemptAt)],
    ['pinned', target.pinned ? mark(false, '', 'yes, until "config-sidecar resume"') : 'no'],
    ...target.sources.map((source) => ['source', followed(source, now)] as const),
    template && ['template', followed(template, now)],
    preset && ['preset', `${preset.name}, ${trustIn(preset)}`],
  ];
  return all.filter((row) => row !== null);
}

function generations({ generations: kept }: TargetStatus, now: number): Html {
  const rows = kept.map((one) => {
    const notes = [
      one.lastKnownGood ? 'last known good' : '',
      one.onVolume ? 'on the volume' : '',
      one.pinned ? 'pinned' : '',
    ];
    return [
      one.generation,
      short(one.revision),
      moment(one.confirmedAt, now),
      notes.filter(Boolean).join(', '),
    ];
  });
  return table('Kept generations', ['generation', 'revision', 'confirmed', ''], rows);
}

function blocked({ blocked: blocks }: TargetStatus, now: number): Html {
  const rows = blocks.map(({ revision, outcome, at, message }) => [
    short(revision),
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
<table><tr class="head">${head.map((cell) => html`<th>${cell}</th>`)}</tr>
${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>\n`)}</table>
`;
}

function version(
  shown: { readonly revision: string; readonly rendering: string | null; readonly at: string } | null,
  now: number,
): Html {
  if (shown === null) return html`–`;
  const { revision, rendering, at } = shown;
  return html`revision ${short(revision)}, <span class="soft">${rendering === null ? 'not rendered' : short(rendering)}</span>, ${moment(at, now)}`;
}

/** Twelve digits of a digest are enough to compare. */
function short(text: string): string {
  return text.replace(/^(?:sha256:)?([0-9a-f]{12})[0-9a-f]{28,}$/, '$1');
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
