/** Where the keys' layout is told from later ones. */
const FORMAT = "v1";
const MAX_PREFIX_LENGTH = 128;

/** The hash of one backend's counts in one period, such as `usage:v1:2026-01:{oci}`. The braces keep a cluster's slot to the name. */
export function countsKey(prefix: string, period: string, backend: string): string {
  return `${prefix}:${FORMAT}:${encode(period)}:{${encode(backend)}}`;
}

/** The set of the backends that have counts in one period. No backend's counts have this key: it has no braces. */
export function backendsKey(prefix: string, period: string): string {
  return `${prefix}:${FORMAT}:${encode(period)}:backends`;
}

/**
 * A prefix begins every key. Braces in it would put all keys into one slot of a cluster.
 *
 * @throws RangeError
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

/** Leaves no colon, brace or control character, and no two names the same. */
function encode(name: string): string {
  return encodeURIComponent(name);
}
