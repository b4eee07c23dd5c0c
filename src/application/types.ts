// What the steps of the application and the policy above them share.

/** Why the application cannot be notified now, with what a person needs to know. */
export interface Obstacle {
  readonly outcome: 'held-back' | 'no-target' | 'ambiguous' | 'not-permitted' | 'ignored' | 'stale-mount';
  readonly code: string;
  readonly message: string;
}

/** The named process as it is at this moment. */
export type ProcessFact =
  /** It started after the publication: it has read the new files. */
  | { readonly kind: 'started-after' }
  | { readonly kind: 'ready' }
  /** Nothing is wrong, it is only too young to be signalled. */
  | { readonly kind: 'settling'; readonly until: number }
  | { readonly kind: 'obstacle'; readonly obstacle: Obstacle };
