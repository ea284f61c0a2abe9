import { assertText } from "./text.ts";

/** A setting that somebody changed while processes ran, and its trail. Texts are of 1 to 256 UTF-16 units unless it says so. */
export interface Change {
  /** Whose setting it is, such as `backend oci`: up to 512 units. */
  readonly subject: string;
  /** Which setting, such as `limits`. */
  readonly setting: string;
  /** What it is now: JSON, up to 16,384 units. Null: what it would be if nobody had changed it. */
  readonly value: string | null;
  /** What was in force before: JSON, up to 16,384 units; null: nobody knows. */
  readonly before: string | null;
  /** Who changed it; absent: nobody says. */
  readonly by?: string;
  /** Why, up to 1,000 units. */
  readonly reason?: string;
  /** The revision of the last change of the same setting that whoever changes it has seen, 0 where there was none. @default any */
  readonly follows?: number;
  /** Whether all earlier changes of the same setting are deleted with it: it is news, and nobody looks for its trail. @default false */
  readonly replaces?: boolean;
}

/** A change as a store has it. */
export interface StoredChange extends Omit<Change, "follows" | "replaces"> {
  /** From 1, one more with each change of any setting: whoever has seen one has seen all before it. */
  readonly revision: number;
  /** When it was stored, by the store's clock, in milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

/** Which changes are asked for. */
export interface ChangesQuery {
  /** Only those of later revisions. @default all */
  readonly after?: number;
}

/** The copy of a change that is stored. @throws RangeError when it is none: it says which part. */
export function checkedChange(change: Change): Change {
  const { subject, setting, value, before, by, reason, follows, replaces = false } = change;
  assertText("a change's subject", subject, 512);
  assertText("a change's setting", setting);
  if (value !== null) assertText("a change's value", value, 16_384);
  if (before !== null) assertText("a change's before", before, 16_384);
  if (by !== undefined) assertText("a change's by", by);
  if (reason !== undefined) assertText("a change's reason", reason, 1_000);
  if (follows !== undefined) assertRevision("follows", follows);
  if (typeof replaces !== "boolean") throw new RangeError("a change's replaces must be true or false");
  return {
    subject,
    setting,
    value,
    before,
    ...(by !== undefined && { by }),
    ...(reason !== undefined && { reason }),
    ...(follows !== undefined && { follows }),
    ...(replaces && { replaces }),
  };
}

/** @throws RangeError unless it is a whole number from 0. */
export function assertRevision(name: string, revision: unknown): void {
  if (Number.isSafeInteger(revision) && (revision as number) >= 0) return;
  throw new RangeError(`${name} must be a revision, a whole number from 0, got ${String(revision)}`);
}
