import { AmountError, UnknownDimensionError } from "../model/errors.ts";
import { isAmount, type Usage } from "../model/usage.ts";

/**
 * Reads usage objects into arrays in dimension order, validated, without allocating: for counters and limiters that see
 * every request.
 */
export class UsageReader<D extends string> {
  readonly #dimensions: readonly D[];

  constructor(dimensions: readonly D[]) {
    // Property keys: comparing them with the keys of an object is a comparison of addresses.
    this.#dimensions = Object.keys(Object.fromEntries(dimensions.map((name) => [name, 0]))) as D[];
    if (this.#dimensions.length === 0) throw new RangeError("dimensions must name at least one dimension, got none");
  }

  /**
   * Writes the amounts of `usage` to `out[0..dimensions)`; absent ones are zero.
   *
   * @throws UnknownDimensionError for a key that is not a dimension.
   * @throws AmountError for a value that is not a non-negative safe integer.
   * @throws TypeError for what is no object with amounts.
   */
  read(backend: string, usage: Partial<Usage<D>>, out: Float64Array): void {
    if (!readInOnePass(this.#dimensions, usage, out)) readSlowly(this.#dimensions, backend, usage, out);
  }
}

/**
 * One pass over the keys, in the order of the dimensions where the caller writes them so. It loads nothing by a name of its
 * own, so no other reader in the process can spoil what V8 has learnt here; and the check that each key is known is part of
 * reading. Returns false for whatever needs a closer look, most of it errors.
 */
function readInOnePass(dimensions: readonly string[], usage: unknown, out: Float64Array): boolean {
  if (usage === null || typeof usage !== "object") return false;
  const isPlain = usage.constructor === Object;
  if (!isPlain && Symbol.iterator in usage) return false;
  for (let i = 0; i < dimensions.length; i++) out[i] = 0;
  let at = 0;
  let present = 0;
  for (const key in usage) {
    if (key !== dimensions[at]) {
      at = dimensions.indexOf(key);
      if (at < 0) return false;
    }
    const value = (usage as Readonly<Record<string, unknown>>)[key];
    if (value !== undefined) {
      if (!isAmount(value)) return false;
      out[at] = value;
    }
    at++;
    present++;
  }
  // A class may have getters, which no pass over keys finds; where every dimension was seen there can be none.
  return isPlain || present === dimensions.length;
}

/** What `read` means, one by one. */
function readSlowly(dimensions: readonly string[], backend: string, usage: unknown, out: Float64Array): void {
  if (!isDictionary(usage)) {
    throw new TypeError(`usage of backend ${JSON.stringify(backend)} must be an object with an amount per dimension`);
  }
  for (const key in usage) {
    if (!dimensions.includes(key)) throw new UnknownDimensionError(backend, key, dimensions);
  }
  const amounts = dimensions.map((dimension) => {
    // A dimension may be called `constructor`; what every object inherits is not an amount.
    const inherited = dimension in Object.prototype && !Object.hasOwn(usage, dimension);
    const value = inherited ? undefined : usage[dimension];
    if (value !== undefined && !isAmount(value)) throw new AmountError(backend, dimension, value);
    return value ?? 0;
  });
  out.set(amounts);
}

/** Whether a value can hold amounts by name: an object of any class, but no list and no Map, whose content is elsewhere. */
export function isDictionary(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !(Symbol.iterator in value);
}
