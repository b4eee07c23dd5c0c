// The commands that ask the sidecar that runs here: status, history, sync, rollback and resume.

import { toSidecarError } from '../lib/errors.ts';
import { EXIT } from '../lib/exit-codes.ts';
import { askSidecar, describeStatus } from '../server/ask-status.ts';
import { type Asker, type ControlAction, generationOf } from '../server/control.ts';
import type { SeenStatus } from '../server/status-shape.ts';
import { loadPartialTargets, type Settings, type Targets } from '../settings/settings.ts';
import { misuse, unknownWord } from './misuse.ts';
import { numberOf, printed, waiting } from './printed.ts';
import { keepingOf, optionsOf, targetNamed } from './targets.ts';
import { shownTo } from './terminal.ts';
import type { Cli, Words } from './types.ts';

export async function status(cli: Cli, words: Words): Promise<number> {
  const found = await find(cli, words);
  if (found === null) return EXIT.notReady;
  const text = words.own.has('json')
    ? `${JSON.stringify(found, null, 2)}\n`
    : describeStatus(found, { instance: cli.instance, now: Date.now() });
  cli.print(shownTo(cli, text));
  return found.ready ? EXIT.done : EXIT.notReady;
}

export async function history(cli: Cli, words: Words): Promise<number> {
  const [word, number, ...others] = words.words;
  if (word !== undefined) {
    if (word !== 'show') throw unknownWord('word', word, ['show']);
    if (number === undefined || others.length > 0)
      throw misuse('Cannot show a generation without its number: config-sidecar history show NUMBER.');
    const { showGeneration } = await import('./generations.ts');
    return printed(cli, showGeneration(numberOf(number, 'show'), await keepingOf(cli, words)));
  }
  const found = await find(cli, words);
  if (found === null) return EXIT.notReady;
  const { describeHistory, historyOf } = await import('./history.ts');
  const text = words.own.has('json')
    ? `${JSON.stringify(historyOf(found), null, 2)}\n`
    : describeHistory(found, Date.now());
  return printed(cli, text);
}

/** The status of the sidecar that runs here; null, with a message, when no sidecar answers. */
async function find(cli: Cli, words: Words): Promise<SeenStatus | null> {
  const targets = await loadPartialTargets(optionsOf(cli, words));
  const [first] = targets.values();
  const listen = first?.settings.LISTEN ?? 'off';
  const found = await askSidecar({
    sockets: await socketsOf(targets),
    listen,
    target: targetNamed(words),
  }).catch((thrown: unknown) => {
    throw misuse(toSidecarError(thrown).message);
  });
  if (typeof found !== 'string') return found;
  cli.printError(shownTo({ isTerminal: cli.isErrorTerminal }, `${found}\n`));
  return null;
}

/** The control sockets of the sidecar: each target has one, and each shows and controls all targets. */
async function socketsOf(targets: Targets<Partial<Settings>>): Promise<readonly string[]> {
  const { controlSocketOf } = await import('../ledger/socket-path.ts');
  return [...targets.values()].flatMap(({ settings: { OUTPUT, STATE_DIR } }) =>
    OUTPUT === undefined || STATE_DIR === undefined ? [] : [controlSocketOf(OUTPUT, STATE_DIR)],
  );
}

/** How long a command waits for the outcome. */
const OUTCOME_MS = 60_000;

export async function control(cli: Cli, action: ControlAction, words: Words): Promise<number> {
  const generation = chosenGeneration(words.words);
  const sockets = await socketsOf(await loadPartialTargets(optionsOf(cli, words)));
  if (sockets.length === 0)
    throw misuse('Cannot find the sidecar without OUTPUT: give it the same OUTPUT and STATE_DIR.');
  const { sendControl } = await import('./control.ts');
  const controlling = sendControl({
    ...{ sockets, action, generation, signal: cli.ending, target: targetNamed(words) },
    asker: askerOf(cli, words),
    retry: words.own.has('retry'),
    waitMs: words.own.has('no-wait') ? 0 : OUTCOME_MS,
  });
  const { exitCode, text } = await waiting(cli, 'Waiting for the outcome', controlling);
  if (exitCode === EXIT.done) cli.print(shownTo(cli, `${text}\n`));
  else cli.printError(shownTo({ isTerminal: cli.isErrorTerminal }, `${text}\n`));
  return exitCode;
}

/** What the shell says of the user, and where the command runs. */
function askerOf({ env, instance }: Cli, { own }: Words): Asker {
  const user = env['SUDO_USER'] || env['USER'] || env['LOGNAME'] || `user ${process.geteuid?.() ?? '?'}`;
  const reason = own.get('reason');
  return { by: `${user} on ${instance}`, reason: typeof reason === 'string' ? reason : null };
}

function chosenGeneration([word]: readonly string[]): number | null {
  try {
    return generationOf('rollback', word ?? null);
  } catch (thrown) {
    throw misuse(toSidecarError(thrown).message);
  }
}
