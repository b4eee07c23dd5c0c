// How much memory there is.

/** The memory limit of the container in bytes; Infinity where there is none. */
export function memoryLimit(): number {
  const limit = process.constrainedMemory() ?? 0;
  return limit > 0 && limit < Number.MAX_SAFE_INTEGER ? limit : Number.POSITIVE_INFINITY;
}
