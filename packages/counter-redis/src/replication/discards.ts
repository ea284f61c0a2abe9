import type { Period } from "@usage/counter-core";
import { type Bucket, bucketOf } from "../server/keys.ts";
import type { SharedCounts } from "../server/shared-counts.ts";
import type { Exchanges } from "./exchanges.ts";
import type { Replication } from "./replication.ts";

/** Shared counts that are to be deleted, each once: a backend may be discarded at every flush while Redis is away. */
export class Discards {
  readonly #counts: SharedCounts;
  readonly #exchanges: Exchanges;
  readonly #replication: Replication;
  readonly #waiting = new Map<string, Bucket & { readonly backend: string }>();

  constructor(counts: SharedCounts, exchanges: Exchanges, replication: Replication) {
    this.#counts = counts;
    this.#exchanges = exchanges;
    this.#replication = replication;
  }

  add(backend: string, periods: readonly Period[]): void {
    const number = bucketOf(backend);
    for (const period of periods) {
      this.#waiting.set(JSON.stringify([period.start, backend]), { period, number, backend });
    }
  }

  /** Deletes them. What fails is told, and tried again with the next call. */
  async work(failed: (error: unknown) => void): Promise<void> {
    for (const [key, discarded] of [...this.#waiting]) {
      try {
        if (this.#replication.isAway(discarded)) throw new Error("a node of the cluster is away");
        await this.#exchanges.run(
          () => this.#counts.forget(discarded, discarded.backend),
          () => {
            this.#replication.forgotten(discarded.period, discarded.backend);
            if (this.#waiting.get(key) === discarded) this.#waiting.delete(key);
          },
        );
      } catch (error) {
        failed(error);
      }
    }
  }
}
