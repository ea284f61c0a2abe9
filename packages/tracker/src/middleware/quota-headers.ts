import { toHeaders } from "../http.ts";
import { limitItem, policyItem, resetSeconds, windowSeconds } from "../quota-items.ts";
import { dimensionsOf, type MeteredUsage } from "./metered-usage.ts";

const NOTHING = {};

/** The headers of requests that pass: those of `toHeaders`, without the decision, which costs ten times as much as to count. */
export class QuotaHeaders<D extends string> {
  readonly #usage: MeteredUsage<D, never>;
  readonly #dimensions: readonly D[];
  readonly #totals: Float64Array;
  readonly #limits: Float64Array;

  constructor(usage: MeteredUsage<D, never>) {
    this.#usage = usage;
    this.#dimensions = dimensionsOf(usage);
    this.#totals = new Float64Array(this.#dimensions.length);
    this.#limits = new Float64Array(this.#dimensions.length);
  }

  of(backend: string): Readonly<Record<string, string>> {
    const { counter } = this.#usage;
    // With several windows there are several counters.
    if (counter === undefined) return toHeaders(this.#usage.check(backend, NOTHING));
    counter.readLimits(backend, this.#limits);
    if (this.#limits.every((limit) => limit === Number.POSITIVE_INFINITY)) return NOTHING;
    counter.readTotal(backend, this.#totals);
    const held = counter.heldAll(backend);
    const period = counter.period();
    const reset = resetSeconds(period.end, Date.now());
    const window = windowSeconds(period);
    let left = "";
    let policy = "";
    for (let place = 0; place < this.#dimensions.length; place++) {
      const dimension = this.#dimensions[place] as D;
      const limit = this.#limits[place] as number;
      if (limit === Number.POSITIVE_INFINITY) continue;
      const remaining = Math.max(0, limit - (this.#totals[place] as number) - held[dimension]);
      const comma = left === "" ? "" : ", ";
      left += comma + limitItem(dimension, remaining, reset);
      policy += comma + policyItem(dimension, dimension, limit, window);
    }
    return { RateLimit: left, "RateLimit-Policy": policy };
  }
}
