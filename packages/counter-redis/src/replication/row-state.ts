/**
 * What is known of the shared counts of one backend, as bits.
 *
 * | state  | means |
 * | ------ | ----- |
 * | FRESH  | the last reply is the newest that is known: nobody has changed the counts since |
 * | EXISTS | somebody has counts there |
 * | WHOLE  | they have all that the store had when the bucket's epoch began |
 * | LACKS  | the store was seen to have more of others than they show |
 * | REFUSED | they could not be used when they were last tried; once they are not FRESH, they are tried again |
 */
export type RowState = number;

const FRESH = 1;
const EXISTS = 2;
const WHOLE = 4;
const LACKS = 8;
const REFUSED = 16;

/** Nothing is known. */
export const UNKNOWN: RowState = 0;

/** What happens to them. */
export type RowEvent =
  /** A merge was answered. */
  | { readonly kind: "replied"; readonly exists: boolean; readonly isWhole: boolean }
  /** Somebody changed them, or they are not where they should be. */
  | { readonly kind: "changed" }
  /** The bucket began anew: whatever was in it may be lost. */
  | { readonly kind: "renewed" }
  | { readonly kind: "refused" }
  /** The time to try them again has come. */
  | { readonly kind: "retried" }
  /** The store has more of others. */
  | { readonly kind: "lacking" }
  /** What the store has was read, to be merged. */
  | { readonly kind: "brought" };

/** What is known after an event. Pure. */
export function next(state: RowState, event: RowEvent): RowState {
  switch (event.kind) {
    case "replied": {
      const kept = state & LACKS;
      return kept | FRESH | (event.exists ? EXISTS : 0) | (event.isWhole ? WHOLE : 0);
    }
    case "changed":
      // What cannot be used waits until it is time to try it again.
      return isRefused(state) ? state : state & ~FRESH;
    case "retried":
      return state & ~FRESH;
    case "renewed":
      return state & LACKS;
    case "refused":
      return state | FRESH | REFUSED;
    case "lacking":
      return state | LACKS;
    case "brought":
      return state & ~LACKS;
  }
}

/** Whether they should be looked at. */
export function isDue(state: RowState): boolean {
  return (state & FRESH) === 0;
}

/** Whether the store's rows should be merged into them. */
export function wantsRows(state: RowState): boolean {
  if ((state & FRESH) === 0 || (state & REFUSED) !== 0) return false;
  return (state & LACKS) !== 0 || ((state & EXISTS) !== 0 && (state & WHOLE) === 0);
}

/** Whether it is known that they may lack something that the store has: no slice of them is granted. */
export function mayLack(state: RowState): boolean {
  return (state & (FRESH | REFUSED | WHOLE)) === FRESH;
}

export function isRefused(state: RowState): boolean {
  return (state & REFUSED) !== 0;
}

/** Whether they are known to have all that the store had when the bucket's epoch began. */
export function isWhole(state: RowState): boolean {
  return (state & WHOLE) !== 0;
}

export function exists(state: RowState): boolean {
  return (state & EXISTS) !== 0;
}
