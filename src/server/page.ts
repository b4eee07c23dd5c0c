// The page for a person: what /status says, as one document without scripts and without anything from elsewhere.

import { ageOf, ageOfSeconds, toTheSecond } from '../lib/age.ts';
import { withCode } from '../lib/errors.ts';
import { isoTime } from '../lib/iso-time.ts';
import { trustIn } from '../settings/presets/describe.ts';
import { type Html, type HtmlPart, html } from './html.ts';
import { nextSteps } from './next-steps.ts';
import { STYLE } from './page-style.ts';
import { shownApplication, shownMemory, shownPin } from './shown.ts';
import type { SourceStatus, Status, TargetStatus } from './status-shape.ts';

export { PAGE_HEADERS } from './page-style.ts';

/** The page asks for itself again after so many seconds. */
const REFRESH_SECONDS = 10;

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
<p class="soft">As of ${toTheSecond(isoTime(now))}; <a href="status">as JSON</a>, <a href="metrics">metrics</a>.</p>
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
<p class="what">${message}${code === null ? '' : html` <span class="soft">[${code}]</span>`}</p>
${steps.map((step) => html`<p class="next">${step}</p>\n`)}
<table class="facts">${facts(target, now).map(([label, value]) => html`<tr><th>${label}</th><td>${value}</td></tr>\n`)}</table>
${difference(target)}${generations(target, now)}${blocked(target, now)}${history(target, now)}${processes(target)}`;
}

function facts(target: TargetStatus, now: number): readonly (readonly [string, HtmlPart])[] {
  const { running, lastKnownGood, desired, attempted, trial, template, preset } = target;
  const all: readonly (readonly [string, HtmlPart] | null)[] = [
    trial && [
      'on trial',
      `since ${toTheSecond(trial.since)}, until ${toTheSecond(trial.until)} at the latest: ${trial.waitsFor.join(', ')}`,
    ],
    ['output', target.output],
    ['application', shownApplication(target.application)],
    ['hook', target.hook ?? 'none: publish only'],
    preset && ['preset', `${preset.name}, ${trustIn(preset)}`],
    ['desired', version(desired, now)],
    ['attempted', version(attempted, now)],
    ['running', running === null ? 'without evidence' : html`${version(running, now)}: ${running.evidence}`],
    ['last known good', version(lastKnownGood, now)],
    ['reload', target.reloadOwed ? mark(false, '', 'owed') : 'nothing is owed'],
    ['next attempt', target.nextAttemptAt === null ? '–' : toTheSecond(target.nextAttemptAt)],
    ['pinned', pinned(target)],
    ...target.sources.map((source) => ['source', followed(source, now)] as const),
    template && ['template', followed(template, now)],
  ];
  return all.filter((row) => row !== null);
}

function pinned({ pinned: isPinned, pin }: TargetStatus): HtmlPart {
  if (!isPinned) return 'no';
  const what = !pin ? 'yes' : shownPin(pin);
  return mark(false, '', `${what}, until "config-sidecar resume"`);
}

/** Where the client may see it. */
function difference({ difference: text }: TargetStatus): Html {
  if (!text) return html``;
  return html`<h3>What the source has and the volume does not show</h3>
<pre class="diff">${text.trimEnd().split('\n').map(diffLine)}</pre>
`;
}

function diffLine(line: string): Html {
  const kind = /^(?:---|\+\+\+) /.test(line)
    ? 'this'
    : line.startsWith('+')
      ? 'good'
      : line.startsWith('-')
        ? 'bad'
        : '';
  return kind === '' ? html`${line}\n` : html`<span class="${kind}">${line}</span>\n`;
}

/** Where the client may see them. */
function processes({ processes: all = [] }: TargetStatus): Html {
  const rows = all.map((one) => {
    const { pid, program, user, ageSeconds } = one;
    const name = one.isApplication ? html`<span class="this">${program} ← the application</span>` : program;
    return [pid, name, user ?? '', ageSeconds === null ? '' : ageOfSeconds(ageSeconds), shownMemory(one)];
  });
  return table('Processes in sight', ['pid', 'program', 'user', 'age', 'memory'], rows);
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

function table(title: string, head: readonly string[], rows: readonly (readonly HtmlPart[])[]): Html {
  if (rows.length === 0) return html``;
  const cell = (value: HtmlPart, i: number): Html =>
    head[i] ? html`<td data-label="${head[i]}">${value}</td>` : html`<td>${value}</td>`;
  return html`<h3>${title}</h3>
<table><tr class="head">${head.map((name) => html`<th>${name}</th>`)}</tr>
${rows.map((row) => html`<tr>${row.map(cell)}</tr>\n`)}</table>
`;
}

function version(
  shown: { readonly revision: string; readonly rendering: string | null; readonly at: string } | null,
  now: number,
): Html {
  if (shown === null) return html`–`;
  const { revision, rendering, at } = shown;
  return html`revision ${revision}, <span class="soft">${rendering === null ? 'not rendered' : rendering}</span>, ${moment(at, now)}`;
}

function followed({ url, up, lastContactAt, note, error }: SourceStatus, now: number): Html {
  const contact = lastContactAt === null ? 'never reached' : html`last contact ${moment(lastContactAt, now)}`;
  const version = note === undefined ? '' : html` <span class="soft">(${note})</span>`;
  return html`${url}: ${mark(up, 'up', 'down')}, ${contact}${version}${error === null ? '' : `: ${withCode(error.message, error.code)}`}`;
}

function moment(at: string, now: number): Html {
  return html`${ageOf(at, now)} ago <span class="soft">(${toTheSecond(at)})</span>`;
}

function mark(isGood: boolean, good: string, bad = good): Html {
  return html`<span class="${isGood ? 'good' : 'bad'}">${isGood ? good : bad}</span>`;
}
