import { LocalCounterBackend, type UsageStore } from "@usage/counter-core";
import { memoryStore } from "@usage/counter-core/testing";
import { FlushError, StoreDimensionsError, UsageFlusher, UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";

/** As it comes without types: nothing but the names tells what it returns. */
function storeOf<D extends string>(dimensions: readonly string[]): UsageStore<D> {
  return { ...(memoryStore() as unknown as UsageStore<D>), dimensions: dimensions as readonly D[] };
}

describe("a tracker on a store with other dimensions than its counter's", () => {
  it.each([
    ["none of them", ["apiRequests", "egressBytes", "ingressBytes"], "requests, tokens"],
    ["one of two", ["requests"], "tokens"],
    ["only one that is spelt alike", ["requests", "Tokens"], "tokens"],
  ])("refuses to store and to read where it has %s, and says what to do", async (_, dimensions, missing) => {
    const tracker = new UsageTracker(new LocalCounterBackend(["gpt"], { dimensions: ["requests", "tokens"] }));
    const store = storeOf<"requests" | "tokens">(dimensions);
    tracker.record("gpt", { tokens: 5 });
    const message = `the store's totals do not return ${missing}, only ${dimensions.join(", ")}: open it with the counter's dimensions, { dimensions: ["requests","tokens"] }; nothing was read or stored`;
    for (const first of [() => tracker.refreshBaselines(store), () => tracker.flushUsage(store)]) {
      const error = await first().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(StoreDimensionsError);
      expect(error).toMatchObject({ code: "USAGE_STORE_DIMENSIONS", missing: missing.split(", "), message });
    }
    expect(await store.history({})).toEqual([]);
  });

  it("does not end as if everything were stored", async () => {
    const tracker = new UsageTracker(new LocalCounterBackend(["gpt"], { dimensions: ["tokens"] }));
    const flusher = new UsageFlusher({ tracker, store: storeOf<"tokens">(["apiRequests"]) });
    tracker.record("gpt", { tokens: 5 });
    await expect(flusher.flush()).rejects.toThrow(StoreDimensionsError);
    await expect(flusher.stop()).rejects.toThrow(FlushError);
  });

  it("takes one that has more than its counter has, in any order", async () => {
    const tracker = new UsageTracker(new LocalCounterBackend(["oci"], { dimensions: ["egressBytes"] }));
    const store = storeOf<"egressBytes">(["ingressBytes", "egressBytes", "apiRequests"]);
    tracker.record("oci", { egressBytes: 5 });
    await tracker.refreshBaselines(store);
    expect(await tracker.flushUsage(store)).toEqual({ stored: 1, rejected: [] });
  });
});
