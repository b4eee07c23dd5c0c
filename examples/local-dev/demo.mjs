// The main job in under a minute: a file is edited, the sidecar publishes it and notifies the application, a broken
// edit is refused. Exits with 1 when what should be seen is not seen. `--keep` goes on until Ctrl-C.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, openStage } from './stage.mjs';

const APP = fileURLToPath(new URL('app.mjs', import.meta.url));
const SIDECAR = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const keeps = process.argv.includes('--keep');

if (!existsSync(SIDECAR)) {
  console.error('Cannot find the built program: run "npm run build" first, or "npm run demo".');
  process.exit(1);
}

const stage = openStage();
const config = join(stage.folder, 'config.yaml');
const output = join(stage.folder, 'live', 'app.json');
const ports = { app: await freePort(), sidecar: await freePort() };
let isInterrupted = false;
const interrupted = new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      isInterrupted = true;
      resolve();
    });
  }
});

try {
  const played = play();
  // After Ctrl-C the play ends early: its rejection is expected.
  played.catch(() => {});
  await Promise.race([played, interrupted]);
  if (keeps && !isInterrupted) {
    explainKeeping();
    await interrupted;
  }
} catch (thrown) {
  console.error(`\nThe demo failed, ${thrown.message}\nWhat was said:`);
  for (const { who, line } of stage.heard) console.error(`  ${who}: ${line}`);
  process.exitCode = 1;
}
const { sidecar } = await stage.close();
console.log('\nEverything is stopped and removed.');
// Ctrl-C reaches the sidecar too, perhaps before it is ready for signals.
if (sidecar !== undefined && sidecar !== 0 && !isInterrupted) {
  console.error(`The demo failed: on SIGTERM the sidecar ended with ${sidecar}, not with 0.`);
  process.exitCode = 1;
}
process.exit();

async function play() {
  chapter('The sidecar starts. It keeps live/app.json in step with config.yaml.');
  startSidecar();
  await stage.expect('the first publication', 'sidecar', isEvent('published'));
  await stage.expect('that no application is there', 'sidecar', isEvent('no-target'));

  chapter('The application starts and reads live/app.json.');
  // The kernel dates processes in hundredths of a second, and one that starts in the same hundredth would get a signal, to be safe.
  await pause(100);
  stage.start('app', [APP, output, String(ports.app)]);
  await stage.expect('the application with the first configuration', 'app', (line) =>
    line.includes('"Hello", 2'),
  );
  await stage.expect('that it needs no reload', 'sidecar', isEvent('picked-up'));

  chapter('A good change: in config.yaml the greeting becomes "Good evening".');
  edit('greeting: Hello', 'greeting: Good evening');
  await stage.expect('the application with "Good evening"', 'app', (line) =>
    /^SIGHUP.*"Good evening", 2/.test(line),
  );
  await stage.expect('that it was notified', 'sidecar', isEvent('applied'));

  chapter('A broken change: workers becomes "many", which the schema forbids.');
  edit('workers: 2', 'workers: many');
  await stage.expect('that it is refused', 'sidecar', isEvent('rejected'));
  await answerIs('Good evening from 2 workers');

  chapter('The fix: workers becomes 3.');
  edit('workers: many', 'workers: 3');
  await stage.expect('the application with 3 workers', 'app', (line) =>
    /^SIGHUP.*"Good evening", 3/.test(line),
  );
  await stage.expect('that it was notified', 'sidecar', isEvent('applied'));
  await answerIs('Good evening from 3 workers');
  const reloads = stage.heard.filter(({ who, line }) => who === 'app' && line.startsWith('SIGHUP')).length;
  if (reloads !== 2) throw new Error(`the application was to reload twice, and did ${reloads} times`);
}

function startSidecar() {
  const env = {
    CONFIG_FILE: config,
    OUTPUT: output,
    SCHEMA: join(stage.folder, 'schema.json'),
    // Names this very application: an editor that has config.yaml open, or a second demo, is not meant.
    APP_PROCESS: `/app\\.mjs .*${basename(stage.folder)}/`,
    RELOAD_SIGNAL: 'SIGHUP',
    LISTEN: `127.0.0.1:${ports.sidecar}`,
    LOG_FORMAT: 'json',
  };
  stage.start('sidecar', [SIDECAR], { env, toText: narrate });
}

/** A line of the sidecar's log as a sentence; what does not belong to the story is left out. */
function narrate(line) {
  const { event, generation, message } = parse(line);
  if (event === undefined) return line;
  if (event === 'published') return `published: generation ${generation} of live/app.json`;
  return message === undefined ? null : `${event}: ${message}`;
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

function isEvent(event) {
  return (line) => parse(line).event === event;
}

function chapter(text) {
  stage.mark();
  console.log(`\n${text}`);
}

function edit(before, after) {
  writeFileSync(config, readFileSync(config, 'utf8').replace(before, after));
}

/** Asks the application itself, over HTTP. */
async function answerIs(wanted) {
  const answer = await new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port: ports.app, timeout: 5_000 }, (response) => {
      response.setEncoding('utf8').on('data', (text) => resolve(text.trim()));
    }).on('error', reject);
  });
  if (answer !== wanted) throw new Error(`the application was to answer "${wanted}", and says "${answer}"`);
  stage.say('app', `asked over HTTP, it answers: ${answer}`);
}

function explainKeeping() {
  console.log(`
It goes on. Play with it:
  edit   ${config}
  ask    curl http://127.0.0.1:${ports.app}/          (the application)
         curl http://127.0.0.1:${ports.sidecar}/status    (the sidecar; also /readyz, /metrics)
  look   ${output}
Ctrl-C ends everything.
`);
}
