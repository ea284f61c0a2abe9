import type { Usage } from "@usage/counter-core";

export function backendNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `tenant-${String(i).padStart(6, "0")}`);
}

/** What may be used by those who have one of these plans, in all three dimensions. */
export const PLANS: readonly Usage[] = [
  { apiRequests: 1e6, egressBytes: 1e12, ingressBytes: 1e12 },
  { apiRequests: 1e7, egressBytes: 1e13, ingressBytes: 1e13 },
];
