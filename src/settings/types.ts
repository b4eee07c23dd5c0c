// Values of settings that other folders share.

/** Numeric owner of every file; null leaves it to the system. */
export interface Owner {
  readonly uid: number;
  /** null leaves the group as the directory or the process gives it. */
  readonly gid: number | null;
}
