const CODES = 600;

/** The answers of the proxy's own, by status code: refusals, and what took the place of a backend's answer. */
export class OwnAnswers {
  readonly #counts: Float64Array = new Float64Array(CODES);

  count(status: number): void {
    (this.#counts[status] as number) += 1;
  }

  /** Those that were given, by code. */
  *[Symbol.iterator](): Generator<readonly [status: number, count: number]> {
    for (const [status, count] of this.#counts.entries()) if (count > 0) yield [status, count];
  }
}
