import type { Dimension } from "./instance.ts";

/** How long an instance goes on with a slice without being answered. */
export const LEASE_MS = 2_000;
export const BYTES_A_REQUEST = 500;

/** What a limit of so many requests is in all dimensions: either may be reached first. */
export function limitsOf(requests: number): Record<Dimension, number> {
  return { requests, bytes: requests * (BYTES_A_REQUEST / 2) };
}
