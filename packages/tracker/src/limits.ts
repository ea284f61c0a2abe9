import { assertBackendName, type Limits } from "@usage/counter-core";
import { capsOf, isDictionary, UNLIMITED } from "@usage/counter-core/internal";

/** Limits by the backend's name. A backend that is not in it has the default ones; names that nobody counts do no harm. */
export type LimitsByBackend<D extends string> = Readonly<Record<string, Limits<D>>> | ReadonlyMap<string, Limits<D>>;

/** Limits by name, or a function that says which a backend has; undefined: the default ones. */
export type LimitsSource<D extends string> = LimitsByBackend<D> | ((backend: string) => Limits<D> | undefined);

/** Which limits a backend has, before it is held and while it is. */
export class LimitBook<D extends string> {
  /** Of a backend for which there are none. */
  readonly defaults: Limits<D>;
  readonly #copied: Copied<D>;
  readonly #source: (backend: string) => Limits<D> | undefined;
  /** Of single backends, in place of what the source says. */
  readonly #own = new Map<string, Limits<D> | undefined>();

  /**
   * @throws NameError for a backend's name that is none.
   * @throws UnknownDimensionError for a limit of something that is not counted.
   * @throws AmountError for a limit that is not a non-negative safe integer.
   * @throws TypeError for limits that are no function, object or Map of objects.
   */
  constructor(dimensions: readonly D[], source: LimitsSource<D>, defaults: Limits<D>) {
    this.#copied = copier(() => dimensions);
    this.defaults = this.#copied("the default limits", defaults);
    this.#source = typeof source === "function" ? byFunction(this.#copied, source) : byName(this.#copied, source);
  }

  /** @throws what the constructor throws, for limits that the source's function returns. */
  of(backend: string): Limits<D> {
    // fault: limits nobody of whom the plans know nothing
    return (this.#own.has(backend) ? this.#own.get(backend) : this.#source(backend)) ?? this.defaults;
  }

  /** Replaces the limits of one backend; undefined: it has the default ones. @throws what the constructor throws. */
  set(backend: string, limits: Limits<D> | undefined): void {
    assertBackendName(backend);
    this.#own.set(backend, limits === undefined ? undefined : this.#copied(backend, limits));
  }
}

/** @throws what is wrong with the limits. */
export type Copied<D extends string> = (backend: string, limits: Limits<D>) => Limits<D>;

/** Copies, since the caller may change the limits; of a plan one, however many backends have it. */
export function copier<D extends string>(dimensionsNow: () => readonly D[]): Copied<D> {
  const copies = new WeakMap<Limits<D>, Limits<D>>();
  return (backend, limits) => {
    const dimensions = dimensionsNow();
    const copy = checkedLimits(dimensions, backend, limits);
    const known = copies.get(limits);
    if (known !== undefined && dimensions.every((dimension) => known[dimension] === copy[dimension])) return known;
    copies.set(limits, copy);
    return copy;
  };
}

/** Whatever the function returns may be wrong, for a single backend. */
function byFunction<D extends string>(
  copied: Copied<D>,
  limitsOf: (backend: string) => Limits<D> | undefined,
): (backend: string) => Limits<D> | undefined {
  return (backend) => {
    const limits = limitsOf(backend);
    return limits === undefined ? undefined : copied(backend, limits);
  };
}

function byName<D extends string>(
  copied: Copied<D>,
  limits: LimitsByBackend<D>,
): (backend: string) => Limits<D> | undefined {
  const isMap = limits instanceof Map;
  if (!isMap && !isDictionary(limits)) {
    throw new TypeError("limits must be a function, an object or a Map, by the backend's name");
  }
  const entries: Iterable<[string, Limits<D>]> = isMap ? limits : Object.entries(limits);
  const copy = new Map<string, Limits<D>>();
  for (const [backend, given] of entries) {
    assertBackendName(backend);
    copy.set(backend, copied(backend, given));
  }
  return (backend) => copy.get(backend);
}

/** What is read of limits, which may have getters and change later. */
function checkedLimits<D extends string>(dimensions: readonly D[], backend: string, limits: Limits<D>): Limits<D> {
  const caps = capsOf(dimensions, backend, limits);
  return Object.fromEntries(
    dimensions.flatMap((dimension, place) => {
      const cap = caps[place] as number;
      return cap === UNLIMITED ? [] : [[dimension, cap] as const];
    }),
  ) as Limits<D>;
}
