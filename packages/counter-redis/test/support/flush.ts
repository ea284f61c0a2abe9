import type { CounterBackend, UsageStore } from "@usage/counter-core";

/** What a `UsageFlusher` does at every interval: learns what everybody else stored, then stores what is counted. */
export async function flush(counter: CounterBackend, store: UsageStore): Promise<void> {
  const { key } = counter.period();
  const { usage } = await store.totals(key, counter.writer);
  const wanted = counter.learn(key, usage);
  if (wanted.length > 0) await counter.absorb(await store.tallies(key, wanted));
  const tallies = await counter.tallies();
  await store.merge(tallies);
  counter.confirm(tallies);
}

/** What the store holds of a backend in the counter's current period, of all writers. */
export async function storedRequests(counter: CounterBackend, store: UsageStore, backend: string): Promise<number> {
  const { usage } = await store.totals(counter.period().key, counter.writer);
  return usage.get(backend)?.all.apiRequests ?? 0;
}
