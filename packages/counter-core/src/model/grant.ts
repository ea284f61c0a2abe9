import { isDictionary } from "../request/usage-reader.ts";
import { AmountError } from "./errors.ts";
import { assertBackendName, assertDimensionName } from "./names.ts";
import { assertText } from "./text.ts";
import { isAmount } from "./usage.ts";

/** Credit of a backend for one period: as much more as its limits of that period allow, and why. */
export interface Grant {
  /** The key of the period. */
  readonly period: string;
  readonly backend: string;
  /** Tells it from the others of that backend and period: 1 to 256 UTF-16 units of well-formed text without control characters. */
  readonly id: string;
  /** By dimension, one or more: from 1 to 2^53-1 each. */
  readonly amounts: Readonly<Record<string, number>>;
  /** For whoever reads the trail: 1 to 1,000 UTF-16 units of well-formed text without control characters. */
  readonly reason: string;
  /** Who granted it: as `id`; absent: nobody says. */
  readonly by?: string;
}

/** A grant as a store has it. */
export interface StoredGrant extends Grant {
  /** When it was stored, by the store's clock, in milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

/** What became of a grant that was sent to a store. */
export interface GrantReceipt {
  /** Whether it is new; otherwise somebody has granted under this id before, and nothing was changed. */
  readonly isNew: boolean;
  /** What is stored under its id: it may be of other amounts where it is not new. */
  readonly grant: StoredGrant;
}

/** Which grants are asked for; absent: all. */
export interface GrantsQuery {
  /** The key of their period. */
  readonly period?: string;
  readonly backend?: string;
  /** Only those that were stored then or later, by the store's clock, in milliseconds since the Unix epoch. */
  readonly since?: number;
}

const LONGEST_REASON = 1_000;

/** The copy of a grant that is stored. @throws NameError, AmountError, RangeError or TypeError when it is none: it says which part. */
export function checkedGrant({ period, backend, id, amounts, reason, by }: Grant): Grant {
  assertBackendName(backend);
  assertText("a grant's period", period);
  assertText("a grant's id", id);
  assertText("a grant's reason", reason, LONGEST_REASON);
  if (by !== undefined) assertText("a grant's by", by);
  return { period, backend, id, amounts: checkedAmounts(backend, amounts), reason, ...(by !== undefined && { by }) };
}

/** The same for grants of the same period, backend and id only: no name has a line break. */
export function grantKey({ period, backend, id }: Pick<Grant, "period" | "backend" | "id">): string {
  return `${backend}\n${period}\n${id}`;
}

/** Whether two grants are of the same amounts. */
export function areSameAmounts(a: Grant["amounts"], b: Grant["amounts"]): boolean {
  const dimensions = Object.keys(a);
  return (
    dimensions.length === Object.keys(b).length &&
    dimensions.every((dimension) => Object.hasOwn(b, dimension) && a[dimension] === b[dimension])
  );
}

function checkedAmounts(backend: string, amounts: Grant["amounts"]): Grant["amounts"] {
  if (!isDictionary(amounts)) {
    throw new TypeError(`a grant's amounts must be an object with an amount per dimension, got ${String(amounts)}`);
  }
  const given = Object.entries(amounts).filter(([, amount]) => amount !== undefined);
  if (given.length === 0) throw new RangeError("a grant's amounts must have one dimension or more, got none");
  for (const [dimension, amount] of given) {
    assertDimensionName(dimension);
    if (!isAmount(amount) || amount === 0) {
      throw new AmountError(
        backend,
        dimension,
        amount,
        "cannot be granted: it must be a whole number from 1 to 2^53-1",
      );
    }
  }
  return Object.fromEntries(given);
}
