/** Names and amounts as they may be in the middle of a month: their digits are bytes on the wire and in memory. */
export function tenantNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `tenant-${String(i).padStart(5, "0")}`);
}

export const USAGE = { apiRequests: 1_013, egressBytes: 5_242_880, ingressBytes: 71_303 } as const;
