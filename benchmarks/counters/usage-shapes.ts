/** Objects as callers write them, by the number of dimensions; a scenario's process uses one of them only. */
export const USAGE_OF = {
  3: (i: number) => ({ apiRequests: 1, egressBytes: i & 0xfffff, ingressBytes: 700 }),
  4: (i: number) => ({ apiRequests: 1, egressBytes: i & 0xfffff, ingressBytes: 700, inputTokens: 30 }),
  5: (i: number) => ({ apiRequests: 1, egressBytes: i & 0xfffff, ingressBytes: 700, inputTokens: 30, outputTokens: 9 }),
  8: (i: number) => ({
    apiRequests: 1,
    egressBytes: i & 0xfffff,
    ingressBytes: 700,
    inputTokens: 30,
    outputTokens: 9,
    cachedTokens: 3,
    images: 1,
    toolCalls: 2,
  }),
  9: (i: number) => ({
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
} as const;

export type DimensionCount = keyof typeof USAGE_OF;
