import type { Period } from "@usage/counter-core";

/** Where the keys' layout is told from others. */
const FORMAT = "v2";
const MAX_PREFIX_LENGTH = 128;

/** How many buckets a period has. Part of the format: on a cluster of some masters each has about as many, and a poll is short. */
export const BUCKETS = 64;

/** The backends of a period whose keys are in one slot of a cluster. */
export interface Bucket {
  readonly period: Period;
  /** From 0 to `BUCKETS - 1`. */
  readonly number: number;
}

/** The bucket that a backend is in: FNV-1a of its encoded name, and MurmurHash3's finalizer. Part of the format. */
export function bucketOf(backend: string): number {
  const name = encode(backend);
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) & (BUCKETS - 1);
}

/** The keys of one bucket, such as `usage:v2:{2026-01/17}/epoch`; a backend's has a colon and its encoded name behind the brace. */
export class BucketKeys {
  readonly epoch: string;
  readonly changes: string;
  readonly version: string;
  readonly #tag: string;

  constructor(prefix: string, { period, number }: Bucket) {
    this.#tag = `${prefix}:${FORMAT}:{${encode(period.key)}/${number}}`;
    this.epoch = `${this.#tag}/epoch`;
    this.changes = `${this.#tag}/changes`;
    this.version = `${this.#tag}/v`;
  }

  /** The hash of a backend's counts. */
  counts(backend: string): string {
    return `${this.#tag}:${encode(backend)}`;
  }
}

/**
 * A prefix begins every key. Braces in it would put all keys into one slot of a cluster.
 *
 * @throws RangeError that says what the prefix must be.
 */
export function assertPrefix(prefix: string): void {
  const problem = problemOf(prefix);
  if (problem !== undefined) throw new RangeError(`prefix must ${problem}, got ${JSON.stringify(prefix)}`);
}

function problemOf(prefix: unknown): string | undefined {
  if (typeof prefix !== "string" || prefix === "") return "be a string that is not empty";
  if (prefix.length > MAX_PREFIX_LENGTH) return `have at most ${MAX_PREFIX_LENGTH} characters`;
  if (!prefix.isWellFormed()) return "be well-formed Unicode";
  if (/[{}]/.test(prefix)) return "have no braces";
  if (/\p{Cc}/u.test(prefix)) return "have no control characters";
  return undefined;
}

/** Leaves no colon, slash, brace or control character, and no two names the same. */
function encode(name: string): string {
  return encodeURIComponent(name);
}
