// What the ledger keeps of processes and moments: read and written further up, stored here.

/** What distinguishes a process from every other one, also from a later one with the same number. */
export interface ProcessId {
  readonly pid: number;
  /** Start time in 1/100 s since boot (field 22 of `/proc/PID/stat`). */
  readonly startTicks: number;
}

/** A moment on the boot clock; null where it is not known. */
export interface BootStamp {
  /** Changes with every start of the machine. */
  readonly bootId: string | null;
  /** 1/100 s since boot. */
  readonly ticks: number | null;
}
