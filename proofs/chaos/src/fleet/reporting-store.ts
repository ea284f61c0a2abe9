import { isWrittenBy, type UsageStore } from "@usage/counter-core";
import { Book, type BookEntry } from "./book.ts";

/** A store that tells what it has taken of a run's counts, of all its generations together. */
export function reportingStore(
  inner: UsageStore,
  run: string,
  tell: (entries: readonly BookEntry[]) => Promise<void>,
): UsageStore {
  const byGeneration = new Map<string, Book>();
  return {
    ...inner,
    async merge(tallies, options) {
      const rejected = await inner.merge(tallies, options);
      const refused = new Set(rejected.map(({ tally }) => tally));
      const own = tallies.filter((tally) => isWrittenBy(tally, run) && !refused.has(tally));
      for (const { writer, period, backend, usage } of own) {
        const book = byGeneration.get(writer) ?? new Book();
        byGeneration.set(writer, book);
        book.raise(period, backend, usage);
      }
      const all = Book.sumOf(byGeneration.values());
      const changed = new Set(own.map(({ period, backend }) => JSON.stringify([period, backend])));
      const entries = all.entries().filter(([period, backend]) => changed.has(JSON.stringify([period, backend])));
      if (entries.length > 0) await tell(entries);
      return rejected;
    },
  };
}
