/** Those before are read again. */
const MAX_TIMES = 1_000;

/**
 * When writers have themselves merged what is theirs: what changed then, they need not be told. That is so of the writer's own rows only,
 * since another merge may have begun in the same microsecond.
 */
export class OwnTimes {
  readonly #times: { readonly period: string; readonly writer: string; readonly at: string }[] = [];

  /** @param at - As text that the database reads. */
  add(period: string, writer: string, at: string): void {
    this.#times.push({ period, writer, at });
    if (this.#times.length > MAX_TIMES) this.#times.shift();
  }

  of(period: string, writer: string): readonly string[] {
    return this.#times.flatMap((time) => (time.period === period && time.writer === writer ? [time.at] : []));
  }
}
