import { AmountError, UnknownDimensionError } from "./errors.ts";
import type { Usage } from "./usage.ts";

/** Dimensions are read four at a time; arrays that hold one amount per dimension are padded to whole blocks. */
const BLOCK = 4;

/** Below zero however many blocks are added to it. */
const INVALID = -(2 ** 20);

/** The length of an array for `dimensions` amounts, padded so that whole blocks can be written. */
export function paddedLength(dimensions: number): number {
  return Math.ceil(dimensions / BLOCK) * BLOCK;
}

/**
 * Reads usage objects into arrays in dimension order, validated, without allocating: for counters and limiters that see
 * every request.
 */
export class UsageReader<D extends string> {
  readonly #dimensions: readonly D[];
  readonly #first: Block;
  readonly #rest: readonly Block[] | undefined;

  constructor(dimensions: readonly D[]) {
    this.#dimensions = dimensions;
    const blocks: Block[] = [];
    for (let at = 0; at < dimensions.length; at += BLOCK) blocks.push(new Block(dimensions, at));
    const [first, ...rest] = blocks;
    if (first === undefined) throw new RangeError("dimensions must name at least one dimension, got none");
    this.#first = first;
    this.#rest = rest.length > 0 ? rest : undefined;
  }

  /**
   * Writes the amounts of `usage` to `out`, which has `paddedLength(dimensions)` elements; absent ones are zero.
   *
   * @throws UnknownDimensionError for a key that is not a dimension.
   * @throws AmountError for a value that is not a non-negative safe integer.
   */
  read(backend: string, usage: Partial<Usage<D>>, out: Float64Array): void {
    // Written as `{...}`: only then, what can be read is what can be listed. Asking for its prototype would cost more.
    let unread = -1;
    if (usage?.constructor === Object) {
      // Counting keys is the one cheap way to notice a misspelt dimension, which must never be dropped in silence.
      unread = -this.#first.read(usage, out);
      for (const _ in usage) unread++;
      if (this.#rest !== undefined) unread -= readAll(this.#rest, usage, out);
    }
    if (unread !== 0) readSlowly(this.#dimensions, backend, usage, out);
  }
}

/** What `read` means, one by one: for all that the fast way could not take, most of it errors. */
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

/** Whether `value` is a non-negative safe integer. */
export function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Out of line: V8 inlines the request path into its caller only as a whole below 920 bytes of bytecode, and a `for...of` has 150. */
function readAll(blocks: readonly Block[], usage: Amounts, out: Float64Array): number {
  let present = 0;
  for (const block of blocks) present += block.read(usage, out);
  return present;
}

type Amounts = Readonly<Record<string, number | undefined>>;

/**
 * Up to four dimensions. Each is read at a place of its own in the code: there, V8 sees one property name only and reads
 * it like a field, where a loop over names would look each one up.
 */
class Block {
  readonly at: number;
  readonly size: number;
  readonly d0: string;
  readonly d1: string;
  readonly d2: string;
  readonly d3: string;

  constructor(dimensions: readonly string[], at: number) {
    this.at = at;
    this.size = Math.min(BLOCK, dimensions.length - at);
    this.d0 = dimensions[at] ?? "";
    this.d1 = dimensions[at + 1] ?? "";
    this.d2 = dimensions[at + 2] ?? "";
    this.d3 = dimensions[at + 3] ?? "";
  }

  /** Writes the block's amounts to `out` and answers how many were present, or less than zero when one of them needs a closer look. */
  read(usage: Amounts, out: Float64Array): number {
    const size = this.size;
    let present = 0;
    let b: number | undefined = 0;
    let c: number | undefined = 0;
    let d: number | undefined = 0;
    let a = usage[this.d0];
    if (a === undefined) a = 0;
    else present++;
    if (size > 1) {
      b = usage[this.d1];
      if (b === undefined) b = 0;
      else present++;
    }
    if (size > 2) {
      c = usage[this.d2];
      if (c === undefined) c = 0;
      else present++;
    }
    if (size > 3) {
      d = usage[this.d3];
      if (d === undefined) d = 0;
      else present++;
    }
    if (!(isAmount(a) && isAmount(b) && isAmount(c) && isAmount(d))) return INVALID;
    const at = this.at;
    out[at] = a;
    out[at + 1] = b;
    out[at + 2] = c;
    out[at + 3] = d;
    return present;
  }
}
