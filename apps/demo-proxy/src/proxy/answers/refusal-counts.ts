/**
 * Why no backend served a request: `limit`, no room is left; `held`, what is left is only reserved; `unready`, what other instances
 * have is not known; `unreachable`, those with room cannot be reached; `drained`, all are drained; `failed`, one broke off, did
 * not answer in time or does not accept the proxy's credentials; `client`, the client's own limits leave no room, and backends were
 * not asked.
 */
export const REFUSAL_CAUSES = ["limit", "held", "unready", "unreachable", "drained", "failed", "client"] as const;

export type RefusalCause = (typeof REFUSAL_CAUSES)[number];

/** Requests that no backend served, since this run began. Counting allocates nothing. */
export class RefusalCounts {
  readonly #counts = new Float64Array(REFUSAL_CAUSES.length);

  count(cause: RefusalCause): void {
    (this.#counts[REFUSAL_CAUSES.indexOf(cause)] as number) += 1;
  }

  of(cause: RefusalCause): number {
    return this.#counts[REFUSAL_CAUSES.indexOf(cause)] as number;
  }
}
