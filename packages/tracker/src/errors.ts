import type { StoredGrant, Tally } from "@usage/counter-core";

/** The last flush left something behind. It is still counted: `stop` may be called again. */
export class FlushError extends Error {
  readonly code = "USAGE_FLUSH";
  /** What is not known to be stored. */
  readonly unstored: readonly Tally[];

  constructor(unstored: readonly Tally[], cause: unknown) {
    const why = cause instanceof Error ? `: ${cause.message}` : "";
    super(`${unstored.length} tallies are not stored${why}`, { cause });
    this.name = "FlushError";
    this.unstored = unstored;
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

/** The store was opened with other dimensions than the counter counts: their usage would read as zero after a restart. */
export class StoreDimensionsError extends Error {
  readonly code = "USAGE_STORE_DIMENSIONS";
  /** What the counter counts and the store's `totals` do not return. */
  readonly missing: readonly string[];

  constructor(missing: readonly string[], ofStore: readonly string[], ofCounter: readonly string[]) {
    super(
      `the store's totals do not return ${missing.join(", ")}, only ${ofStore.join(", ")}: ` +
        `open it with the counter's dimensions, { dimensions: ${JSON.stringify(ofCounter)} }`,
    );
    this.name = "StoreDimensionsError";
    this.missing = missing;
  }
}

/** The store lost what it had confirmed, over and over within one flush. The counts are kept, and the next flush sends them. */
export class StoreLossError extends Error {
  readonly code = "USAGE_STORE_LOSS";

  constructor(times: number) {
    super(
      `the store lost what it had just confirmed ${times} times during one flush: find who deletes or replaces its file; ` +
        "the counts are kept and sent again",
    );
    this.name = "StoreLossError";
  }
}

/** A window's function, or what it returns, is no period scheme. Nothing was counted, and no other backend is affected. */
export class WindowSchemeError extends TypeError {
  readonly code = "USAGE_WINDOW_SCHEME";
  readonly window: string;
  /** Absent where it is that of all backends. */
  readonly backend?: string;

  constructor(window: string, backend: string | undefined, problem: string, cause?: unknown) {
    super(`windows.${window} ${problem}`, { cause });
    this.name = "WindowSchemeError";
    this.window = window;
    if (backend !== undefined) this.backend = backend;
  }
}

/** Somebody has granted other amounts under this id before. Nothing was changed. */
export class GrantConflictError extends Error {
  readonly code = "USAGE_GRANT_CONFLICT";
  /** What is stored under the id. */
  readonly grant: StoredGrant;

  constructor(grant: StoredGrant) {
    const { period, backend, id, amounts, createdAt } = grant;
    super(
      `the grant ${JSON.stringify(id)} of ${JSON.stringify(backend)} in ${period} is of ${JSON.stringify(amounts)} since ` +
        `${new Date(createdAt).toISOString()}: grant other amounts under another id`,
    );
    this.name = "GrantConflictError";
    this.grant = grant;
  }
}
