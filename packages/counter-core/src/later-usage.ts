/**
 * What others used in one period of backends that are not here yet: a backend that is added begins with it. Holds no more
 * names than were read of that period, and forgets them when another one is read.
 */
export class LaterUsage {
  #period = "";
  readonly #bounds = new Map<string, readonly number[]>();

  /** From here on it is about this period. */
  begin(period: string): void {
    if (period === this.#period) return;
    this.#period = period;
    this.#bounds.clear();
  }

  /** Keeps the larger of each amount: usage of a period only grows. */
  raise(backend: string, lowerBounds: readonly number[]): void {
    const known = this.#bounds.get(backend);
    const bounds = lowerBounds.map((amount, place) => Math.max(amount, known?.[place] ?? 0));
    if (bounds.some((amount) => amount > 0)) this.#bounds.set(backend, bounds);
  }

  /** Gives away what is known of a backend in a period, in dimension order; undefined where nothing is. */
  take(period: string, backend: string): readonly number[] | undefined {
    // fault: takes what it read of a month that is over for this month's
    if (period !== this.#period) return undefined;
    const bounds = this.#bounds.get(backend);
    this.#bounds.delete(backend);
    return bounds;
  }
}
