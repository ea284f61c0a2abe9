/** Integers in structured fields have at most 15 digits (RFC 9651, section 3.3.1). */
const MAX_FIELD_INTEGER = 999_999_999_999_999;

/** Quota units (`qu`) that the draft registers; other dimensions carry their own name. */
const UNITS: ReadonlyMap<string, string> = new Map([
  ["apiRequests", "requests"],
  ["requests", "requests"],
  ["egressBytes", "content-bytes"],
  ["ingressBytes", "content-bytes"],
]);

/** An item of `RateLimit`: what is left, and whole seconds until the next period. */
export function limitItem(name: string, remaining: number, resetSeconds: number): string {
  return `"${name}";r=${integer(remaining)};t=${resetSeconds}`;
}

/** An item of `RateLimit-Policy`: the limit, and the seconds of a period. */
export function policyItem(name: string, dimension: string, limit: number, windowSeconds: number): string {
  return `"${name}";q=${integer(limit)};qu="${UNITS.get(dimension) ?? dimension}";w=${windowSeconds}`;
}

/** Whole seconds until a period ends. */
export function resetSeconds(end: number, now: number): number {
  return Math.max(1, Math.ceil((end - now) / 1000));
}

/** The whole seconds of a period. */
export function windowSeconds({ start, end }: { readonly start: number; readonly end: number }): number {
  return Math.round((end - start) / 1000);
}

function integer(amount: number): number {
  return Math.min(amount, MAX_FIELD_INTEGER);
}
