import type { Usage } from "@usage/counter-core";

const KIB = 1024;
const MIB = 1024 * KIB;

export interface Tier {
  readonly name: string;
  readonly limits: Usage;
}

/** Three free tiers, so small that they fill one after another, each by another dimension. */
const TIERS: readonly Tier[] = [
  { name: "oci", limits: { apiRequests: 1_000, egressBytes: 90 * MIB, ingressBytes: 24 * MIB } },
  { name: "b2", limits: { apiRequests: 2_000, egressBytes: 40 * MIB, ingressBytes: 24 * MIB } },
  { name: "r2", limits: { apiRequests: 1_000, egressBytes: 120 * MIB, ingressBytes: 9 * MIB } },
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

/** Who sends requests, each with a key of its own and as many connections. The second one is on a plan. */
export const CLIENTS = ["web", "jobs", "partner"] as const;
export const CONNECTIONS = 2 * CLIENTS.length;
export const HISTORY_MONTHS = 11;

/** When something happens, as a part of the whole. */
export const CUES = { kill: 0.38, startAgain: 0.48, wipe: 0.62, full: 0.8, end: 1 } as const;

/** How many requests of {@link REQUESTS} fill all tiers. */
const REQUESTS_TO_FULL = 2_850;
const PLAN_REQUESTS = 1_200;
/** A demo that is shorter than this has smaller tiers: whoever is in a hurry looks at no figures. */
const SHORT_SECONDS = 60;
const SHORT_PART = 0.25;

export interface Scenario {
  readonly tiers: readonly Tier[];
  /** What a client of the plan may use, which is a little more than it does. */
  readonly plan: Partial<Usage>;
  readonly requestsPerSecond: number;
  /** How often what is counted is stored, which is what a kill costs where there is no Redis. */
  readonly flushMs: number;
}

/** Everything that depends on how long the demo is. */
export function scenarioOf(seconds: number): Scenario {
  const part = seconds < SHORT_SECONDS ? SHORT_PART : 1;
  const tiers = TIERS.map(({ name, limits: { apiRequests, egressBytes, ingressBytes } }) => {
    return {
      name,
      limits: { apiRequests: apiRequests * part, egressBytes: egressBytes * part, ingressBytes: ingressBytes * part },
    };
  });
  return {
    tiers,
    plan: { apiRequests: PLAN_REQUESTS * part },
    requestsPerSecond: (REQUESTS_TO_FULL * part) / (CUES.full * seconds),
    flushMs: seconds < SHORT_SECONDS ? 250 : 1_000,
  };
}
