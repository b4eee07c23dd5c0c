// Whether what a ledger file holds is a ledger: the files lie on a volume, and others may have written there.
import type { Ledger } from './ledger.ts';

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => Number.isFinite(value);
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isFlag: Check = (value) => typeof value === 'boolean';

function isOneOf(...words: readonly string[]): Check {
  return (value) => words.includes(value as string);
}

function isOrNull(check: Check): Check {
  return (value) => value === null || check(value);
}

function isOptional(check: Check): Check {
  return (value) => value === undefined || check(value);
}

function isListOf(check: Check): Check {
  return (value) => Array.isArray(value) && value.every(check);
}

/** What it has besides does not matter: it may come from a newer version. */
function isRecordOf(checks: Readonly<Record<string, Check>>): Check {
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
    return Object.entries(checks).every(([name, check]) => check((value as Record<string, unknown>)[name]));
  };
}

const isStamp = isRecordOf({ bootId: isOrNull(isText), ticks: isOrNull(isNumber) });
const isProcess = isRecordOf({ pid: isCount, startTicks: isNumber });
const VERSION = { revision: isText, digest: isText, rendering: isText, at: isNumber };
const isEvidence = isOneOf('answered', 'alive', 'workers', 'probed', 'started');
const BAD = ['refused', 'target-died', 'unconfirmed'];

const isPublished = isRecordOf({
  ...VERSION,
  input: isText,
  moment: isOrNull(isStamp),
  as: isOneOf('desired', 'fallback', 'rolled-back', 'pinned'),
});

const isStaged = isRecordOf({ output: isText, name: isText, rendering: isText });

const isTrial = isRecordOf({
  process: isOrNull(isProcess),
  how: isOneOf('told', 'picked-up', 'published'),
  restarts: isFlag,
  children: isListOf(isProcess),
  at: isNumber,
  moment: isStamp,
  notBefore: isNumber,
  toldFrom: (value) => value === undefined || isOrNull(isNumber)(value),
  evidence: isListOf(isEvidence),
});

const isBlock = isRecordOf({
  ...VERSION,
  under: isText,
  outcome: isOneOf(...BAD),
  code: isText,
  message: isText,
});

const isWhole = isRecordOf({
  generation: isCount,
  published: isOrNull(isPublished),
  verdict: isOneOf('pending', 'good', ...BAD),
  intended: isOrNull(
    isRecordOf({
      version: isPublished,
      owedBefore: isFlag,
      staged: (value) => value === undefined || isListOf(isStaged)(value),
    }),
  ),
  owed: isOrNull(isRecordOf({ since: isNumber })),
  told: isOrNull(
    isRecordOf({
      version: isRecordOf(VERSION),
      at: isNumber,
      process: isOrNull(isProcess),
      evidence: isOrNull(isEvidence),
    }),
  ),
  trial: isOrNull(isTrial),
  running: isOrNull(
    isRecordOf({ version: isRecordOf(VERSION), at: isNumber, evidence: isListOf(isEvidence) }),
  ),
  suspect: isOrNull(isRecordOf({ block: isBlock, process: isOrNull(isProcess), until: isNumber })),
  blocked: isListOf(isBlock),
  kept: isListOf(isRecordOf({ ...VERSION, generation: isCount, input: isText, confirmedAt: isNumber })),
  pinned: isOrNull(
    isRecordOf({
      ...{ rendering: isText, generation: isCount },
      ...{ at: isOptional(isNumber), by: isOptional(isText), reason: isOptional(isText) },
    }),
  ),
  appliedAt: isOrNull(isNumber),
});

/** Whether every part has the form it should have; what the parts say is not judged. */
export function isLedger(value: unknown): value is Ledger {
  return isWhole(value);
}
