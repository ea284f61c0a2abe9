import { STORAGE_DIMENSIONS, type Usage } from "@usage/counter-core";

export function sumOf(usages: readonly Partial<Usage>[]): Usage {
  const sum = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
  for (const usage of usages) for (const dimension of STORAGE_DIMENSIONS) sum[dimension] += usage[dimension] ?? 0;
  return sum;
}

export function isSame(a: Usage, b: Usage): boolean {
  return STORAGE_DIMENSIONS.every((dimension) => a[dimension] === b[dimension]);
}
