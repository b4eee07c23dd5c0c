// What a campaign does to a store and its network: generated sequences of operations and faults.
import * as fc from 'fast-check';

/** One key put, or deleted (null). */
export interface Change {
  readonly key: string;
  readonly value: string | null;
}

/** What the proxy can do to a connection; `amount` are bytes or milliseconds where that means something. */
export const PROXY_FAULTS = ['refuse', 'cut', 'cut-after', 'hold', 'delay', 'black-hole', 'pass'] as const;
export type ProxyFault = (typeof PROXY_FAULTS)[number];

/** One step; `thenMs` is waited after it. */
export type Step = (
  | { readonly kind: 'write'; readonly changes: readonly Change[] }
  /** The value that is there is put again. */
  | { readonly kind: 'touch'; readonly key: string }
  | { readonly kind: 'proxy'; readonly fault: ProxyFault; readonly amount: number }
  /** `meanwhile` is written while it goes on, where the store's data outlives the fault. */
  | { readonly kind: 'server'; readonly fault: string; readonly meanwhile: readonly Change[] }
) & { readonly thenMs: number };

export interface SequenceOptions {
  /** Of which faults at the proxy are chosen; none for a store without one. */
  readonly proxyFaults: readonly ProxyFault[];
  /** Names of what can be done to the server itself. */
  readonly serverFaults: readonly string[];
  readonly maxSteps: number;
  /** Bound of a large value. */
  readonly largeBytes: number;
}

const KEYS = ['a', 'b', 'c', 'dir/one', 'dir/two', 'dir/sub/three'];
/** A black hole takes seconds to be noticed: a rare guest, so that many sequences fit into a minute. */
const WEIGHTS: Readonly<Record<ProxyFault, number>> = {
  refuse: 4,
  cut: 6,
  'cut-after': 6,
  hold: 4,
  delay: 4,
  'black-hole': 1,
  pass: 6,
};

/** Sequences of at least one step. */
export function sequences(options: SequenceOptions): fc.Arbitrary<readonly Step[]> {
  const { proxyFaults, serverFaults, maxSteps } = options;
  const weighted = [
    { weight: 14, arbitrary: fc.record({ kind: fc.constant('write' as const), changes: changes(options) }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('touch' as const), key: fc.constantFrom(...KEYS) }),
    },
    ...(proxyFaults.length === 0 ? [] : [{ weight: 10, arbitrary: proxyFault(proxyFaults) }]),
    ...(serverFaults.length === 0 ? [] : [{ weight: 12, arbitrary: serverFault(options) }]),
  ];
  const step = fc
    .tuple(fc.oneof(...weighted), fc.oneof(fc.constant(0), fc.nat({ max: 80 })))
    .map(([what, thenMs]): Step => ({ ...what, thenMs }));
  return fc.array(step, { minLength: 1, maxLength: maxSteps, size: 'max' });
}

function changes({ largeBytes }: SequenceOptions): fc.Arbitrary<readonly Change[]> {
  const key = fc.constantFrom(...KEYS);
  const small = fc.oneof(
    { weight: 6, arbitrary: fc.nat({ max: 999_999 }).map((number) => `v${number}`) },
    { weight: 2, arbitrary: fc.constantFrom('x', 'y', '') },
  );
  const large = fc.tuple(fc.integer({ min: 1_000, max: largeBytes }), fc.nat({ max: 999_999 }));
  const put = fc.record({ key, value: small });
  const one = fc.oneof(
    { weight: 6, arbitrary: put },
    { weight: 2, arbitrary: fc.record({ key, value: fc.constant(null) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        key,
        value: large.map(([bytes, number]) => `${number} `.repeat(bytes).slice(0, bytes)),
      }),
    },
  );
  const several = fc.uniqueArray(
    fc.oneof(
      { weight: 4, arbitrary: put },
      { weight: 1, arbitrary: fc.record({ key, value: fc.constant(null) }) },
    ),
    { minLength: 2, maxLength: KEYS.length, selector: (change) => change.key },
  );
  return fc.oneof({ weight: 3, arbitrary: one.map((change) => [change]) }, { weight: 2, arbitrary: several });
}

function proxyFault(faults: readonly ProxyFault[]) {
  const weighted = faults.map((fault) => ({ weight: WEIGHTS[fault], arbitrary: fc.constant(fault) }));
  return fc.oneof(...weighted).chain((fault) =>
    fc.record({
      kind: fc.constant('proxy' as const),
      fault: fc.constant(fault),
      amount:
        fault === 'cut-after'
          ? fc.constantFrom(0, 1, 50, 100, 300, 1_000, 5_000, 50_000)
          : fault === 'delay'
            ? fc.integer({ min: 1, max: 60 })
            : fc.constant(0),
    }),
  );
}

function serverFault(options: SequenceOptions) {
  return fc.record({
    kind: fc.constant('server' as const),
    fault: fc.constantFrom(...options.serverFaults),
    meanwhile: fc.oneof(fc.constant([]), changes(options)),
  });
}

/** A sequence for people: one line per step. */
export function describeSequence(steps: readonly Step[]): string {
  return steps.map((step) => `  ${describeStep(step)}, then ${step.thenMs} ms`).join('\n');
}

function describeStep(step: Step): string {
  switch (step.kind) {
    case 'write':
      return describeChanges(step.changes);
    case 'touch':
      return `touch ${step.key}`;
    case 'proxy':
      return `proxy: ${step.fault}${step.amount > 0 ? ` ${step.amount}` : ''}`;
    case 'server':
      return `server: ${step.fault}${step.meanwhile.length > 0 ? ` during ${describeChanges(step.meanwhile)}` : ''}`;
  }
}

function describeChanges(list: readonly Change[]): string {
  const each = list.map(({ key, value }) => {
    if (value === null) return `delete ${key}`;
    return value.length > 20 ? `put ${key} = ${value.length} bytes` : `put ${key} = "${value}"`;
  });
  return each.length === 1 ? (each[0] ?? '') : `transaction of ${each.join(', ')}`;
}
