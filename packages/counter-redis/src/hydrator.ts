import type { StoredUsage, Tally } from "@usage/counter-core";
import { hydrationBatches } from "./hydration-batches.ts";
import type { PushLoop } from "./push-loop.ts";
import type { HydrationPart, SharedBackend } from "./shared-backend.ts";
import type { SharedPeriod } from "./shared-period.ts";

/** Sees to it that the shared counts have what the store knows: after a loss, and of each backend once. */
export class Hydrator {
  readonly #loop: PushLoop;
  readonly #batchSize: number;
  #wanted: Wanted | undefined;

  constructor(loop: PushLoop, batchSize: number) {
    this.#loop = loop;
    this.#batchSize = batchSize;
  }

  /** Takes what the store holds; answers the backends whose rows the shared counts should have. */
  observe(shared: SharedPeriod, stored: ReadonlyMap<string, StoredUsage<string>>): readonly string[] {
    const backends = shared.observe(stored);
    const names = backends.map(({ name }) => name);
    this.#wanted = { shared, backends, withoutRows: new Set(names.filter((name) => !stored.has(name))) };
    return names;
  }

  /** Shares the store's rows of these backends. Rejects where that fails; the next `observe` asks for them again. */
  async absorb(rows: readonly Tally[]): Promise<void> {
    if (this.#wanted === undefined) return;
    const { shared, backends, withoutRows } = this.#wanted;
    const byBackend = Map.groupBy(
      rows.filter(({ period }) => period === shared.period.key),
      ({ backend }) => backend,
    );
    // These rows may answer an older `observe`, which did not ask for all of them.
    const isAnswered = ({ name }: SharedBackend) => byBackend.has(name) || withoutRows.has(name);
    const answered = backends.filter(isAnswered);
    this.#wanted = { shared, withoutRows, backends: backends.filter((backend) => !isAnswered(backend)) };
    for (const batch of hydrationBatches(answered, byBackend, this.#batchSize)) {
      const parts = new Map(batch.map(({ backend, part }) => [backend, part]));
      const requestOf = (backend: SharedBackend) => backend.hydration(parts.get(backend) as HydrationPart);
      await this.#loop.push(shared, [...parts.keys()], requestOf);
    }
  }
}

interface Wanted {
  readonly shared: SharedPeriod;
  readonly backends: readonly SharedBackend[];
  /** Those of them of which the store holds nothing. */
  readonly withoutRows: ReadonlySet<string>;
}
