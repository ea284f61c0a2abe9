import { STORAGE_DIMENSIONS, type Usage } from "@usage/counter-core";
import type { RedisCounterBackend } from "@usage/counter-redis";
import { expect, onTestFinished } from "vitest";

const SAMPLE_INTERVAL_MS = 2;

/**
 * What was really recorded, by all counters of a test together. While the test runs, every counter is looked at every
 * few milliseconds: its totals may be behind the truth, but never above it, and never below what they were.
 */
export class Truth {
  readonly #counters: RedisCounterBackend[] = [];
  readonly #recorded = new Map<string, Usage>();
  readonly #seen = new Map<RedisCounterBackend, Map<string, Usage>>();
  #samples = 0;
  #fault: string | undefined;

  constructor() {
    const timer = setInterval(() => this.#sample(), SAMPLE_INTERVAL_MS);
    onTestFinished(() => {
      clearInterval(timer);
      this.#sample();
      if (this.#fault !== undefined) throw new Error(this.#fault);
      if (this.#samples === 0) throw new Error("nothing was sampled");
    });
  }

  /** Looks at this counter, too. */
  watch(...counters: readonly RedisCounterBackend[]): void {
    this.#counters.push(...counters);
    for (const counter of counters) this.#seen.set(counter, new Map());
  }

  /** For the rest of the test, anything may happen. */
  stopWatching(): void {
    this.#sample();
    this.#counters.length = 0;
  }

  record(counter: RedisCounterBackend, backend: string, usage: Partial<Usage>): void {
    counter.addAll(backend, usage);
    const known = this.of(backend);
    this.#recorded.set(backend, {
      apiRequests: known.apiRequests + (usage.apiRequests ?? 0),
      egressBytes: known.egressBytes + (usage.egressBytes ?? 0),
      ingressBytes: known.ingressBytes + (usage.ingressBytes ?? 0),
    });
  }

  of(backend: string): Usage {
    return this.#recorded.get(backend) ?? { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };
  }

  /** Resolves when all counters see all that was recorded. Answers how long that took, in milliseconds. */
  async seenByAll(timeout = 10_000): Promise<number> {
    const started = performance.now();
    const backends = [...this.#recorded.keys()];
    await expect
      .poll(() => this.#counters.map((counter) => backends.map((backend) => counter.totalAll(backend))), {
        timeout,
        interval: 5,
      })
      .toEqual(this.#counters.map(() => backends.map((backend) => this.of(backend))));
    if (this.#fault !== undefined) throw new Error(this.#fault);
    return performance.now() - started;
  }

  #sample(): void {
    for (const counter of this.#counters) {
      for (const [backend, truth] of this.#recorded) {
        this.#samples++;
        const total = counter.totalAll(backend);
        const before = this.#seen.get(counter)?.get(backend);
        for (const dimension of STORAGE_DIMENSIONS) {
          const [now, bound] = [total[dimension], truth[dimension]];
          if (now > bound) this.#fault ??= `a counter sees ${now} ${dimension} of ${backend}, the truth is ${bound}`;
          if (now < (before?.[dimension] ?? 0)) {
            this.#fault ??= `a counter saw ${before?.[dimension]} ${dimension} of ${backend}, and ${now} afterwards`;
          }
        }
        this.#seen.get(counter)?.set(backend, total);
      }
    }
  }
}

/** Records something random with a random counter again and again, until the returned function is called. */
export function traffic(truth: Truth, counters: readonly RedisCounterBackend[], intervalMs = 1): () => void {
  const timer = setInterval(() => {
    const counter = counters[below(counters.length)] as RedisCounterBackend;
    const backends = counter.backends();
    truth.record(counter, backends[below(backends.length)] as string, {
      apiRequests: 1,
      egressBytes: below(1_000_000),
    });
  }, intervalMs);
  const stop = (): void => clearInterval(timer);
  onTestFinished(stop);
  return stop;
}

function below(limit: number): number {
  return Math.floor(Math.random() * limit);
}
