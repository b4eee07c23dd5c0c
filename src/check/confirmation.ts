// Whether what confirms a reload could be seen: CONFIRM_URL is asked once, as it always is; children are counted.
import { findFlaw } from '../application/confirm/answer.ts';
import { childrenOf } from '../application/process/liveness.ts';
import { identityOf } from '../application/tls.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { toSidecarError } from '../lib/errors.ts';
import { request } from '../lib/http/http.ts';
import { maskUrl } from '../lib/mask.ts';
import type { AnswerMatch } from '../settings/answer-match.ts';
import { currentOf } from '../settings/secrets.ts';
import { TLS_ADVICE } from './connect.ts';
import { type CheckContext, type Finding, fail, failure, ok, warn } from './finding.ts';
import type { Application } from './readable.ts';

export interface Surroundings {
  readonly application: Application | null;
  readonly ledger: Ledger;
}

export async function checkConfirmation(
  context: CheckContext,
  { application, ledger }: Surroundings,
): Promise<readonly Finding[]> {
  const { CONFIRM_WORKERS } = context.loaded.settings;
  const workers = CONFIRM_WORKERS && application !== null ? [checkWorkers(application)] : [];
  try {
    const url = currentOf(context.loaded, 'CONFIRM_URL');
    return url === undefined ? workers : [...workers, await checkUrl(context, { url, ledger })];
  } catch (thrown) {
    return [...workers, failure('confirmation', thrown, 'Correct what it names.')];
  }
}

function checkWorkers({ id, name }: Application): Finding {
  const count = childrenOf(id).length;
  if (count === 0) {
    const message = `Process ${name} has no children, so CONFIRM_WORKERS would wait for new ones in vain.`;
    return fail(
      'confirmation',
      'confirm.no-workers',
      message,
      'Leave CONFIRM_WORKERS out, unless it starts workers when it reloads.',
    );
  }
  const message = `Process ${name} has ${count === 1 ? '1 child' : `${count} children`}, which a reload has to replace (CONFIRM_WORKERS).`;
  return ok('confirmation', 'confirm.workers', message);
}

/** More would only keep a person waiting. */
const MAX_WAIT_MS = 5_000;
const MAX_BODY_BYTES = 65_536;

interface Asked {
  readonly url: string;
  readonly ledger: Ledger;
}

async function checkUrl({ loaded, signal }: CheckContext, { url, ledger }: Asked): Promise<Finding> {
  const { CONFIRM_MATCH, CONFIRM_TIMEOUT } = loaded.settings;
  const shown = `CONFIRM_URL "${maskUrl(url)}"`;
  const timeoutMs = Math.min(CONFIRM_TIMEOUT, MAX_WAIT_MS);
  try {
    const { status, body } = await request({
      ...{ method: 'GET', url, timeoutMs, signal, bodyMs: timeoutMs / 2 },
      headers: currentOf(loaded, 'CONFIRM_HEADERS') ?? [],
      tls: identityOf(loaded),
      maxBytes: MAX_BODY_BYTES,
      truncate: true,
      stage: 'reload',
    });
    if (status < 200 || status > 299) {
      return fail(
        'confirmation',
        'confirm.status',
        `${shown} answers ${status}, and has to answer 2xx.`,
        START,
      );
    }
    if (CONFIRM_MATCH === undefined)
      return ok('confirmation', 'confirm.answers', `${shown} answers ${status}.`);
    return await judgeMatch({
      shown,
      match: CONFIRM_MATCH,
      body: body.toString(),
      isOurs: ledger.published !== null,
    });
  } catch (thrown) {
    const { code, message } = toSidecarError(thrown, 'reload');
    return fail('confirmation', code, `Cannot ask CONFIRM_URL: ${message}.`, TLS_ADVICE[code] ?? START);
  }
}

const START = 'Start the application, or correct CONFIRM_URL: as it is, every change would count as failed.';

interface Judged {
  readonly shown: string;
  readonly match: AnswerMatch;
  readonly body: string;
  /** Something of ours is published, so that the application should speak of it. */
  readonly isOurs: boolean;
}

/** What is filled in where a revision or digest will stand; any will do now. */
const ANY_VERSION = '[^\\s"\']+';

async function judgeMatch({ shown, match, body, isOurs }: Judged): Promise<Finding> {
  const shape = { text: match.text.replaceAll(/\{(?:revision|digest)\}/g, ANY_VERSION) };
  const wanted = { match: shape, version: { revision: '', digest: '' }, notBeforeMs: 0 };
  const flaw = await findFlaw(body, wanted);
  if (flaw === null) {
    return ok('confirmation', 'confirm.matches', `${shown} answers with what CONFIRM_MATCH looks for.`);
  }
  const { message, mend } = FLAWS[flaw.code] ?? NO_MATCH;
  const sentence = `${message} (${shown}).`;
  if (flaw.code !== 'confirm.no-match' || isOurs) return fail('confirmation', flaw.code, sentence, mend);
  return warn('confirmation', flaw.code, sentence, `${mend} Nothing is published yet, so it may still come.`);
}

const NO_MATCH = {
  message: 'The answer has nothing that CONFIRM_MATCH matches, whatever the revision',
  mend: 'Correct CONFIRM_MATCH, or make the application answer with what it matches.',
};

const FLAWS: Readonly<Record<string, typeof NO_MATCH>> = {
  'confirm.match-unsupported': {
    message: 'CONFIRM_MATCH is an expression that cannot be searched for in linear time',
    mend: 'Write a simpler one: without huge repetitions.',
  },
  'confirm.no-time': {
    message: 'What the group "time" of CONFIRM_MATCH finds in the answer is not a number of Unix seconds',
    mend: 'Make the group match Unix seconds, not milliseconds and not a date.',
  },
};
