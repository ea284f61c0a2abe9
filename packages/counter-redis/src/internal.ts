/**
 * What tests of other packages need of this one's inside. Unstable: it may change with every release.
 *
 * @packageDocumentation
 */
export { BUCKETS, BucketKeys } from "./server/keys.ts";
