import type { Usage } from "@usage/counter-core";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Three free tiers, so small that they fill one after another within half a minute, each by another dimension. */
export const TIERS: readonly { readonly name: string; readonly limits: Usage }[] = [
  { name: "oci", limits: { apiRequests: 450, egressBytes: 40 * MIB, ingressBytes: 10 * MIB } },
  { name: "b2", limits: { apiRequests: 900, egressBytes: 20 * MIB, ingressBytes: 12 * MIB } },
  { name: "r2", limits: { apiRequests: 550, egressBytes: 60 * MIB, ingressBytes: 4 * MIB } },
];

export interface SampleRequest {
  readonly method: "GET" | "PUT";
  /** Of the response to a GET, of the request body of a PUT. */
  readonly bytes: number;
}

export const REQUESTS: readonly SampleRequest[] = [
  { method: "GET", bytes: 4 * KIB },
  { method: "PUT", bytes: 16 * KIB },
  { method: "GET", bytes: 64 * KIB },
  { method: "GET", bytes: 1_000 },
  { method: "PUT", bytes: 2_500 },
  { method: "GET", bytes: 256 * KIB },
  { method: "PUT", bytes: 64 * KIB },
  { method: "GET", bytes: 16 * KIB },
];

export const CLIENTS = 6;
export const REQUESTS_PER_SECOND = 60;
