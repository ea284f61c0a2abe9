/** What is late is of the period before, as a rule. */
const KEPT_PERIODS = 3;

interface Told {
  readonly limit: number;
  /** The highest threshold of that limit that is claimed; all below it are claimed, too. */
  readonly upTo: number;
}

/** Which thresholds are known to be claimed, so that they are not claimed again and again. As large as what was crossed. */
export class ToldThresholds {
  readonly #periods = new Map<string, Map<string, Map<string, Told>>>();

  /** The highest threshold that is claimed; 0 where none is, or the limit was another one. */
  upTo(period: string, backend: string, dimension: string, limit: number): number {
    const told = this.#periods.get(period)?.get(backend)?.get(dimension);
    // fault: thresholds of a new limit are those of the old one
    return told?.limit === limit ? told.upTo : 0;
  }

  add(period: string, backend: string, dimension: string, told: Told): void {
    let backends = this.#periods.get(period);
    if (backends === undefined) {
      backends = new Map();
      this.#periods.set(period, backends);
      for (const old of [...this.#periods.keys()].sort().slice(0, -KEPT_PERIODS)) this.#periods.delete(old);
    }
    let dimensions = backends.get(backend);
    if (dimensions === undefined) {
      dimensions = new Map();
      backends.set(backend, dimensions);
    }
    dimensions.set(dimension, told);
  }

  forget(): void {
    this.#periods.clear();
  }
}
