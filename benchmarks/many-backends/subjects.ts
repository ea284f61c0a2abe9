import type { Usage } from "@usage/counter-core";

export function backendNames(): readonly string[] {
  return Array.from({ length: 100_000 }, (_, i) => `tenant-${String(i).padStart(6, "0")}`);
}

export function limitsOf(names: readonly string[]): ReadonlyMap<string, Usage> {
  return new Map(names.map((name) => [name, { apiRequests: 1e6, egressBytes: 1e12, ingressBytes: 1e12 }]));
}
