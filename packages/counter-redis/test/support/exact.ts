import { setTimeout as sleep } from "node:timers/promises";
import type { UsageStore } from "@usage/counter-core";
import type { ClaimOpened, RedisConnectOptions, RedisCounterBackend } from "@usage/counter-redis";
import { counter } from "./counters.ts";
import { flush } from "./flush.ts";

/** Marks of a store: what was opened, and by whom first. */
export function openings(): ClaimOpened {
  const known = new Set<string>();
  return async (period, buckets) => {
    const opened = buckets.filter((bucket) => !known.has(`${period}/${bucket}`));
    for (const bucket of opened) known.add(`${period}/${bucket}`);
    return opened;
  };
}

/** A counter in exact mode that was limited and loaded from a store, as a tracker does it. */
export async function exactCounter(
  store: UsageStore,
  limit: number,
  options: Partial<RedisConnectOptions> & { readonly prefix: string },
): Promise<RedisCounterBackend> {
  const made = await counter({ enforcement: "exact", ...options });
  made.bind(store);
  made.setLimits("oci", { apiRequests: limit });
  await flush(made, store);
  return made;
}

/** Asks again until it is admitted or the limit is used up; false where it is not in time. */
export async function eventually(made: RedisCounterBackend, backend: string, timeoutMs = 20_000): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!made.tryAddAll(backend, { apiRequests: 1 })) {
    if (performance.now() > deadline) return false;
    await sleep(2);
  }
  return true;
}

/** All that is admitted, by one after the other, until nobody was for a while. */
export async function takeAllOf(counters: readonly RedisCounterBackend[], limit: number): Promise<number> {
  let admitted = 0;
  let lastAt = performance.now();
  while (admitted <= limit && performance.now() - lastAt < 2_500) {
    for (const counter of counters) {
      for (let k = 0; k < 8 && counter.tryAddAll("oci", { apiRequests: 1 }); k++) {
        admitted += 1;
        lastAt = performance.now();
      }
    }
    await sleep(2);
  }
  return admitted;
}
