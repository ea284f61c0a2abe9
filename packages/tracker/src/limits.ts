import { assertBackendName, isDictionary, paddedLength, type Usage, UsageReader } from "@usage/counter-core";

/** The most that a backend may use in a period, by dimension. 0 means that nothing may be used; absent means unlimited. */
export type Limits<D extends string> = Partial<Usage<D>>;

/** Limits by the backend's name. Backends that nobody counts are kept: they may be added later. */
export type LimitsByBackend<D extends string> = Readonly<Record<string, Limits<D>>> | ReadonlyMap<string, Limits<D>>;

/** Limits, checked, in the form that the request path compares with: dimension order, padded, infinity where unlimited. */
export class LimitTable<D extends string> {
  readonly #dimensions: readonly D[];
  readonly #rows = new Map<string, Float64Array>();

  /**
   * @throws NameError for a backend's name that is none.
   * @throws UnknownDimensionError for a limit of something that is not counted.
   * @throws AmountError for a limit that is not a non-negative safe integer.
   * @throws TypeError for limits that are not an object or a Map of objects.
   */
  constructor(dimensions: readonly D[], limits: LimitsByBackend<D>) {
    this.#dimensions = dimensions;
    const reader = new UsageReader(dimensions);
    for (const [backend, given] of entriesOf(limits)) {
      assertBackendName(backend);
      if (!isDictionary(given)) throw new TypeError(`limits of backend ${JSON.stringify(backend)} must be an object`);
      const row = new Float64Array(paddedLength(dimensions.length));
      reader.read(backend, given, row);
      dimensions.forEach((dimension, place) => {
        // fault: takes a limit of 0 for none
        if (isAbsent(given, dimension)) row[place] = Number.POSITIVE_INFINITY;
      });
      this.#rows.set(backend, row);
    }
  }

  /** A backend's limits in dimension order; undefined when it has none. */
  row(backend: string): Float64Array | undefined {
    return this.#rows.get(backend);
  }

  /** The limits that are any, for the caller to keep. */
  copy(): Map<string, Limits<D>> {
    return new Map(
      Array.from(this.#rows, ([backend, row]) => {
        const limited = this.#dimensions.flatMap((dimension, place) => {
          const limit = row[place] ?? Number.POSITIVE_INFINITY;
          return limit === Number.POSITIVE_INFINITY ? [] : [[dimension, limit] as const];
        });
        return [backend, Object.fromEntries(limited) as Limits<D>];
      }),
    );
  }
}

/** A dimension may be called `constructor`; what every object inherits is no limit. */
function isAbsent(limits: Readonly<Record<string, unknown>>, dimension: string): boolean {
  return limits[dimension] === undefined || (dimension in Object.prototype && !Object.hasOwn(limits, dimension));
}

function entriesOf<D extends string>(limits: LimitsByBackend<D>): Iterable<[string, Limits<D>]> {
  if (isMap(limits)) return limits;
  if (!isDictionary(limits)) throw new TypeError("limits must be an object or a Map, by the backend's name");
  return Object.entries(limits);
}

function isMap<D extends string>(limits: LimitsByBackend<D>): limits is ReadonlyMap<string, Limits<D>> {
  return limits instanceof Map;
}
