import { HeapPeriods } from "./cells/heap-periods.ts";
import { CounterBase } from "./counter-base.ts";
import type { CounterParts } from "./held-backends.ts";
import { type Clock, systemClock } from "./model/clock.ts";
import { checkedDimensions, checkedNames } from "./model/names.ts";
import type { PeriodScheme } from "./model/period.ts";
import { STORAGE_DIMENSIONS, type StorageDimension } from "./model/usage.ts";
import { newWriter } from "./model/writer.ts";
import { utcMonths } from "./periods/utc-periods.ts";
import { Rows } from "./request/rows.ts";

export interface LocalCounterOptions<D extends string = StorageDimension> {
  /** What is counted. @default STORAGE_DIMENSIONS */
  readonly dimensions?: readonly D[];
  /** How time is divided. @default utcMonths */
  readonly periods?: PeriodScheme;
  /** @default systemClock */
  readonly clock?: Clock;
  /** How many backends may be held at once. @default 1_000_000 */
  readonly maxBackends?: number;
  /** How long a backend must be unused before it may be let go of, in milliseconds. @default 900_000 */
  readonly idleMs?: number;
  /** This run's name in stores. Only for simulations: no two runs may ever use the same. @default a new UUIDv7 */
  readonly writer?: string;
}

/**
 * Counts in the memory of this process. What it has not flushed dies with it.
 *
 * Closed periods are kept until the store has them (or they are swapped out), so whoever counts without a store keeps them all.
 *
 * @example
 * ```ts
 * const counter = new LocalCounterBackend(["oci", "b2"]);
 * counter.addAll("oci", { apiRequests: 1, egressBytes: 5_242_880 });
 * ```
 */
export class LocalCounterBackend<D extends string = StorageDimension> extends CounterBase<D> {
  /**
   * @param names - Backends that are there from the start, at zero; others are held by `ensure`.
   * @throws NameError for a name that is none, RangeError for dimensions or numbers that are out of range.
   */
  constructor(names: Iterable<string> = [], options: LocalCounterOptions<D> = {}) {
    super(heapParts(names, options, 1));
  }
}

/**
 * What a counter on this thread's memory is made of.
 *
 * @param hops - One for each replica, the store's included.
 * @param isExact - Whether a limited cell takes no more than its ceiling, which others set.
 */
export function heapParts<D extends string>(
  names: Iterable<string>,
  options: LocalCounterOptions<D>,
  hops: number,
  isExact = false,
): CounterParts<D> & { readonly periods: HeapPeriods } {
  const { periods = utcMonths, clock = systemClock, maxBackends = 1_000_000, idleMs = 900_000 } = options;
  const given = checkedNames(names);
  const dimensions = checkedDimensions(options.dimensions ?? (STORAGE_DIMENSIONS as readonly string[] as readonly D[]));
  if (!(Number.isInteger(maxBackends) && maxBackends >= given.length)) {
    throw new RangeError(`maxBackends must be a whole number from ${given.length}, got ${String(maxBackends)}`);
  }
  if (!(idleMs >= 1)) throw new RangeError(`idleMs must be at least 1, got ${String(idleMs)}`);
  const rows = new Rows();
  for (const name of given) rows.add(name);
  return {
    writer: options.writer ?? newWriter(clock.now()),
    dimensions,
    clock,
    rows,
    periods: new HeapPeriods(periods, clock.now(), { rows: given.length, size: dimensions.length, hops, isExact }),
    maxBackends,
    idleMs,
  };
}
