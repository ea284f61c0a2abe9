import { AT_ONCE } from "../cells/cells.ts";
import { AmountError, UnknownDimensionError } from "../model/errors.ts";
import { isAmount, type Usage } from "../model/usage.ts";

/** So many dimensions are loaded each at a place of its own in the code. */
const PLACES = 8;

type Amounts = Readonly<Record<string, unknown>>;

/**
 * The dimensions that are loaded by name. V8 learns where a property is for each load in the code, not for each reader: for one
 * list in the process that is as fast as a field, and with several at the same place it would be slower than passing over the
 * keys. So it is the first list that anybody counts by, in most processes the only one.
 */
let named: string | undefined;

/**
 * Reads usage objects into arrays in dimension order, validated, without allocating: for counters and limiters that see
 * every request.
 */
export class UsageReader<D extends string> {
  /** Property keys: comparing them with the keys of an object is a comparison of addresses. */
  readonly #names: readonly D[];
  readonly #isNamed: boolean;
  readonly #size: number;
  /** The first four, to be loaded from fields: at 30 ns a call, four looks into a list would show. */
  readonly #a: string;
  readonly #b: string;
  readonly #c: string;
  readonly #d: string;

  constructor(dimensions: readonly D[]) {
    this.#names = Object.keys(Object.fromEntries(dimensions.map((name) => [name, 0]))) as D[];
    if (this.#names.length === 0) throw new RangeError("dimensions must name at least one dimension, got none");
    const list = dimensions.join();
    // What every object has is no amount, and takes a closer look.
    const isOdd = dimensions.some((name) => name in Object.prototype);
    if (dimensions.length <= PLACES && !isOdd) named ??= list;
    this.#isNamed = named === list;
    const [a = "", b = "", c = "", d = ""] = this.#names;
    this.#size = this.#names.length;
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#d = d;
  }

  /**
   * Writes the amounts of `usage` to `out[0..dimensions)`; absent ones are zero, and so is what is behind them.
   *
   * @throws UnknownDimensionError for a key that is not a dimension.
   * @throws AmountError for a value that is not a non-negative safe integer.
   * @throws TypeError for what is no object with amounts.
   */
  read(backend: string, usage: Partial<Usage<D>>, out: Float64Array): void {
    if (this.#isNamed && this.#readByName(usage, out)) return;
    readByKey(this.#names, backend, usage, out);
  }

  /**
   * Each dimension by its name. Returns false for whatever needs a closer look, most of it errors. V8 inlines the request path
   * into its caller only as a whole below 920 bytes of bytecode, so this is kept short.
   */
  #readByName(usage: Amounts, out: Float64Array): boolean {
    if (usage?.constructor !== Object) return false;
    const size = this.#size;
    let a = usage[this.#a];
    if (a === undefined) a = 0;
    let b: unknown = 0;
    let c: unknown = 0;
    let d: unknown = 0;
    if (size > 1) {
      b = usage[this.#b];
      if (b === undefined) b = 0;
    }
    if (size > 2) {
      c = usage[this.#c];
      if (c === undefined) c = 0;
    }
    if (size > 3) {
      d = usage[this.#d];
      if (d === undefined) d = 0;
    }
    if (!(isAmount(a) && isAmount(b) && isAmount(c) && isAmount(d))) return false;
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
    const names = this.#names;
    if (size > AT_ONCE && !readMore(names, usage, out)) return false;
    let at = 0;
    for (const key in usage) if (key !== names[at++]) return hasOnly(names, usage);
    return true;
  }
}

/** The fifth to the eighth place. */
function readMore(names: readonly string[], usage: Amounts, out: Float64Array): boolean {
  const size = names.length;
  if (!take(out, 4, usage[names[4] as string])) return false;
  if (size > 5 && !take(out, 5, usage[names[5] as string])) return false;
  if (size > 6 && !take(out, 6, usage[names[6] as string])) return false;
  return size < 8 || take(out, 7, usage[names[7] as string]);
}

function take(out: Float64Array, place: number, value: unknown = 0): boolean {
  if (!isAmount(value)) return false;
  out[place] = value;
  return true;
}

/** Whether every key is a dimension: a misspelt one must never be dropped in silence. */
function hasOnly(names: readonly string[], usage: Amounts): boolean {
  let at = 0;
  for (const key in usage) {
    if (key !== names[at]) {
      at = names.indexOf(key);
      if (at < 0) return false;
    }
    at++;
  }
  return true;
}

function readByKey(names: readonly string[], backend: string, usage: unknown, out: Float64Array): void {
  if (!readInOnePass(names, usage, out)) readSlowly(names, backend, usage, out);
}

/**
 * One pass over the keys, in the order of the dimensions where the caller writes them so. It loads nothing by a name of its
 * own, so no other reader in the process can spoil what V8 has learnt here.
 */
function readInOnePass(names: readonly string[], usage: unknown, out: Float64Array): boolean {
  if (!isDictionary(usage)) return false;
  for (let i = 0; i < names.length; i++) out[i] = 0;
  let at = 0;
  let keys = 0;
  let amounts = 0;
  for (const key in usage) {
    if (key !== names[at]) {
      at = names.indexOf(key);
      if (at < 0) return false;
    }
    const value = usage[key];
    if (value !== undefined) {
      if (!isAmount(value)) return false;
      out[at] = value;
      amounts++;
    }
    at++;
    keys++;
  }
  return keys === names.length || amounts === amountsOf(names, usage);
}

/** How many amounts it has, also those that are no keys, as a class has with getters. */
function amountsOf(names: readonly string[], usage: Amounts): number {
  let amounts = 0;
  for (let i = 0; i < names.length; i++) if (usage[names[i] as string] !== undefined) amounts++;
  return amounts;
}

/** What `read` means, one by one. */
function readSlowly(names: readonly string[], backend: string, usage: unknown, out: Float64Array): void {
  if (!isDictionary(usage)) {
    throw new TypeError(`usage of backend ${JSON.stringify(backend)} must be an object with an amount per dimension`);
  }
  valuesOf(names, backend, usage).forEach((value = 0, place) => {
    if (!isAmount(value)) throw new AmountError(backend, names[place] as string, value);
    out[place] = value;
  });
}

/**
 * The values of the dimensions, also of those that are no keys, as a class has with getters; undefined where it has none.
 *
 * @throws UnknownDimensionError for a key that is not a dimension.
 */
export function valuesOf(names: readonly string[], backend: string, object: Amounts): readonly unknown[] {
  const listed = new Set<string>();
  for (const key in object) {
    if (!names.includes(key)) throw new UnknownDimensionError(backend, key, names);
    listed.add(key);
  }
  return names.map((name) => {
    // A dimension may be called `constructor`; what every object inherits is no value.
    const isEverybodys = name in Object.prototype && !listed.has(name) && !Object.hasOwn(object, name);
    return isEverybodys ? undefined : object[name];
  });
}

/**
 * Whether a value can hold amounts by name: what was written as `{...}`, which is cheap to ask, or an object of any class, but no
 * list and no Map, whose content is elsewhere.
 */
export function isDictionary(value: unknown): value is Readonly<Record<string, unknown>> {
  if (value === null || typeof value !== "object") return false;
  return value.constructor === Object || !(Symbol.iterator in value);
}
