import { memoryStore, type UsageStore } from "@usage/counter-core";

/** What is late is of the period before at most. */
const KEPT = 2;

/**
 * A store for windows that are over before anybody would ask for what they were: in the memory of this process, the latest periods
 * only. It keeps no marks.
 */
export function passingStore<D extends string>(dimensions: readonly D[]): UsageStore<D> {
  const stores = new Map<string, UsageStore<D>>();
  const storeOf = (period: string): UsageStore<D> => {
    let store = stores.get(period);
    if (store === undefined) {
      store = memoryStore({ dimensions });
      stores.set(period, store);
      for (const old of [...stores.keys()].sort().slice(0, -KEPT)) stores.delete(old);
    }
    return store;
  };
  return {
    dimensions,
    async merge(tallies, options) {
      const byPeriod = Map.groupBy(tallies, ({ period }) => period);
      // The earliest first, so that what is over does not drive out what is not.
      const periods = [...byPeriod.keys()].sort();
      const rejected = await Promise.all(
        periods.map((period) => storeOf(period).merge(byPeriod.get(period) ?? [], options)),
      );
      return rejected.flat();
    },
    totals: async (period, writer, query) => stores.get(period)?.totals(period, writer, query) ?? { usage: new Map() },
    tallies: async (period, backends) => stores.get(period)?.tallies(period, backends) ?? [],
    async history(query) {
      const all = await Promise.all(Array.from(stores.values(), (store) => store.history(query)));
      return all.flat();
    },
    async remove(backend) {
      await Promise.all(Array.from(stores.values(), (store) => store.remove(backend)));
    },
    fold: async () => [],
  };
}
