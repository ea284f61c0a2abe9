import type { CostRule } from "../config/proxy-config.ts";

/** A rule of a ready-made list. */
export interface PresetRule extends Omit<CostRule, "path"> {
  /** What a path-style request of S3 is about: all buckets (`/`), one (`/bucket`), or one object. */
  readonly level?: "service" | "bucket" | "object";
}

/** What of R2 is not charged: what fails while it is authenticated or authorized. */
const UNCHARGED = { status: ["401", "403"], amount: 0 } as const;

/**
 * Operations of class A of Cloudflare R2: whatever writes or lists. What the price page does not name and could be one is one.
 *
 * @see https://developers.cloudflare.com/r2/pricing/#class-a-operations
 * @see https://developers.cloudflare.com/r2/pricing/#will-i-be-charged-for-failed-requests-to-my-r2-bucket
 */
const R2_CLASS_A: readonly PresetRule[] = [
  UNCHARGED,
  { method: ["PUT", "POST"], amount: 1 },
  // ListBuckets.
  { method: ["GET"], level: "service", amount: 1 },
  ...["location", "encryption", "cors", "lifecycle"].map(
    (query): PresetRule => ({ method: ["GET"], level: "bucket", query: [query], amount: 0 }),
  ),
  // ListObjects, ListMultipartUploads.
  { method: ["GET"], level: "bucket", amount: 1 },
  // ListParts.
  { method: ["GET"], level: "object", query: ["uploadId"], amount: 1 },
];

/**
 * Operations of class B of Cloudflare R2: those that read an object, or what is set for a bucket. Deletions are free.
 *
 * @see https://developers.cloudflare.com/r2/pricing/#class-b-operations
 */
const R2_CLASS_B: readonly PresetRule[] = [
  UNCHARGED,
  { method: ["HEAD"], amount: 1 },
  ...["location", "encryption", "cors", "lifecycle"].map(
    (query): PresetRule => ({ method: ["GET"], level: "bucket", query: [query], amount: 1 }),
  ),
  { method: ["GET"], level: "object", query: ["uploadId"], amount: 0 },
  { method: ["GET"], level: "object", amount: 1 },
];

/**
 * Requests to OCI Object Storage, which has one price for all of them.
 *
 * @see https://www.oracle.com/cloud/price-list/ "Object Storage - Requests"
 */
const OCI_REQUESTS: readonly PresetRule[] = [{ amount: 1 }];

/** The ready-made lists, by name. */
export const COST_PRESETS: ReadonlyMap<string, readonly PresetRule[]> = new Map([
  ["r2-class-a", R2_CLASS_A],
  ["r2-class-b", R2_CLASS_B],
  ["oci-requests", OCI_REQUESTS],
]);
