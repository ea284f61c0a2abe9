type Amounts = Readonly<Record<string, number>>;

/** Makes the usage of the call `i`. Each is used in one process only: V8 would learn the mixture. */
export type MakeUsage = (i: number) => Amounts;

/** Objects as callers write them, by the number of dimensions. */
const LITERALS: Readonly<Record<number, MakeUsage>> = {
  1: (i) => ({ egressBytes: i & 0xfffff }),
  3: (i) => ({ apiRequests: 1, egressBytes: i & 0xfffff, ingressBytes: 700 }),
  4: (i) => ({ apiRequests: 1, egressBytes: i & 0xfffff, ingressBytes: 700, inputTokens: 30 }),
  5: (i) => ({ apiRequests: 1, egressBytes: i & 0xfffff, ingressBytes: 700, inputTokens: 30, outputTokens: 9 }),
  8: (i) => ({
    apiRequests: 1,
    egressBytes: i & 0xfffff,
    ingressBytes: 700,
    inputTokens: 30,
    outputTokens: 9,
    cachedTokens: 3,
    images: 1,
    toolCalls: 2,
  }),
  9: (i) => ({
    apiRequests: 1,
    egressBytes: i & 0xfffff,
    ingressBytes: 700,
    inputTokens: 30,
    outputTokens: 9,
    cachedTokens: 3,
    images: 1,
    toolCalls: 2,
    searches: 1,
  }),
};

/** Three dimensions, of which one is there and has no value: a caller that copies a field which may be absent. */
function withUndefined(i: number): Amounts {
  return { apiRequests: 1, egressBytes: i & 0xfffff, ingressBytes: undefined } as object as Amounts;
}

class StorageUse {
  readonly apiRequests = 1;
  readonly egressBytes: number;
  readonly ingressBytes = 700;

  constructor(egressBytes: number) {
    this.egressBytes = egressBytes;
  }
}

export type Shape = "literal" | "instance" | "undefined";

export const DIMENSION_COUNTS = [1, 3, 4, 5, 8, 9] as const;
export type DimensionCount = (typeof DIMENSION_COUNTS)[number];

/** @param shape Other shapes than `literal` have three dimensions. */
export function makerOf(dimensions: DimensionCount, shape: Shape): MakeUsage {
  if (shape === "instance") return (i) => new StorageUse(i & 0xfffff) as object as Amounts;
  if (shape === "undefined") return withUndefined;
  return LITERALS[dimensions] as MakeUsage;
}

export function dimensionsOf(dimensions: DimensionCount): readonly string[] {
  return Object.keys((LITERALS[dimensions] as MakeUsage)(0));
}
