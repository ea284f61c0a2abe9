import type { Tally } from "@usage/counter-core";

/** The last flush left something behind. It is still counted: `stop` may be called again. */
export class FlushError extends Error {
  readonly code = "USAGE_FLUSH";
  /** What is not known to be stored. */
  readonly remaining: readonly Tally[];

  constructor(remaining: readonly Tally[], cause: unknown) {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    super(`${remaining.length} tallies are not stored${why}`, { cause });
    this.name = "FlushError";
    this.remaining = remaining;
  }
}

/**
 * A flush, its wait for the one before it, or what it reads first took longer than it may. What was sent may still be
 * stored, which does no harm.
 */
export class FlushTimeoutError extends Error {
  readonly code = "USAGE_FLUSH_TIMEOUT";
  readonly timeoutMs: number;

  constructor(timeoutMs: number, what = "the flush") {
    super(`${what} did not end within ${timeoutMs} ms`);
    this.name = "FlushTimeoutError";
    this.timeoutMs = timeoutMs;
  }
}
