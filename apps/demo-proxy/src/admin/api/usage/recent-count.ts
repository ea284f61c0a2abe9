/** A count of this run, as far as it matters now. */
export interface RecentCount {
  readonly lastMinute: number;
  /** What was counted in the ten seconds before the period began may be part of it. */
  readonly thisPeriod: number;
}

const MINUTE_MS = 60_000;
/** Readings that are closer to each other are one. */
const GRAIN_MS = 1_000;

interface Reading {
  count: number;
  readonly atMs: number;
}

/** How much a count that begins at zero and only grows has grown, from readings of it one after the other. */
export class CountReadings {
  /** Those of the last minute at which it had grown, and one before. */
  #readings: Reading[] = [{ count: 0, atMs: Number.NEGATIVE_INFINITY }];
  #period: string | undefined;
  /** At the last reading, and at the last one of the period before. */
  #last = 0;
  #before = 0;

  /** Takes a further reading, in the period of that key. */
  read(count: number, atMs: number, period: string): RecentCount {
    if (this.#period !== undefined && period !== this.#period) this.#before = this.#last;
    this.#period = period;
    this.#last = count;
    let last = this.#readings.at(-1);
    // The clock was set back.
    if (last === undefined || atMs < last.atMs) {
      last = { count, atMs: Number.NEGATIVE_INFINITY };
      this.#readings = [last];
    }
    if (atMs < last.atMs + GRAIN_MS) last.count = count;
    else if (count > last.count) this.#readings.push({ count, atMs });
    while ((this.#readings[1]?.atMs ?? atMs) <= atMs - MINUTE_MS) this.#readings.shift();
    return { lastMinute: count - (this.#readings[0]?.count ?? 0), thisPeriod: count - this.#before };
  }
}
