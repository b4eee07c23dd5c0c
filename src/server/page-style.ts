// How the page looks, and what a browser may do with it. On a narrow screen tables become lists whose items name their column.
import { createHash } from 'node:crypto';

export const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 62rem; padding: 0 1rem; color: #222; background: #fff; overflow-wrap: anywhere; }
h1 { font-size: 1rem; font-weight: 600; } h2 { font-size: 1.7rem; line-height: 1.2; margin: 1.5rem 0 .3rem; } h3 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
p { margin: .3rem 0; } .what { font-size: 1.1rem; } .next { border-left: 4px solid #a31515; padding: .2rem .8rem; background: #fdf3f3; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd; }
th { font-weight: 600; } .facts th { white-space: nowrap; width: 9rem; } pre { margin: 0; white-space: pre-wrap; } .good { color: #176b2c; } .bad { color: #a31515; } .soft { color: #666; }
.this { font-weight: 600; } .diff { font: 13px/1.4 ui-monospace, monospace; border: 1px solid #ddd; padding: .5rem; }
@media (max-width: 40rem) { table, tbody, tr, th, td { display: block; width: auto; } tr { border-bottom: 1px solid #ddd; padding: .3rem 0; } th, td { border: 0; padding: 0; } .head { display: none; } .facts th { width: auto; } td:empty { display: none; } td[data-label] { display: inline-block; max-width: 100%; margin-right: .8rem; } td[data-label]::before { content: attr(data-label) " "; color: #666; } }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818; } .next { background: #2c1a1a; border-color: #e06c6c; } th, td, tr, .diff { border-color: #444; } .good { color: #6fcf87; } .bad { color: #ff8a80; } .soft, td[data-label]::before { color: #999; } a { color: #8ab4f8; } }
`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** Whatever a value might bring along, nothing runs and nothing is loaded. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  'Referrer-Policy': 'no-referrer',
};
