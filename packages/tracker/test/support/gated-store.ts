import type { Tally, UsageStore } from "@usage/counter-core";

/** A store whose merges wait until they are let through, one by one or, with `open`, all; `batches` are those that came. */
export function gatedStore(inner: UsageStore) {
  const gates: PromiseWithResolvers<void>[] = [];
  const batches: (readonly Tally[])[] = [];
  let isOpen = false;
  const open = (): void => {
    isOpen = true;
    for (const gate of gates) gate.resolve();
  };
  const store: UsageStore = {
    ...inner,
    async merge(tallies, options) {
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      batches.push(tallies);
      if (isOpen) gate.resolve();
      await gate.promise;
      return inner.merge(tallies, options);
    },
  };
  return { store, gates, batches, open };
}
