// Named points of a publication and its trial at which a test can end the process as a crash would. The program itself
// never asks for it: only a build of the tests' own does.

/** In the order in which a change passes them; a file is flushed while `intended` is recorded. */
export const FAULT_POINTS = [
  'stage',
  'flush',
  'intended',
  'swap',
  'names',
  'published',
  'reload',
  'delivered',
  'told',
  'confirm',
  'copied',
  'kept',
  'condemned',
] as const;

export type FaultPoint = (typeof FAULT_POINTS)[number];

let listen: ((point: FaultPoint) => void) | null = null;

/** Says that a point is passed. */
export function faultPoint(point: FaultPoint): void {
  listen?.(point);
}

/** For tests: `listener` hears of every point that is passed, and may not come back. */
export function onFaultPoint(listener: (point: FaultPoint) => void): void {
  listen = listener;
}
