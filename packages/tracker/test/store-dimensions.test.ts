import { LocalCounterBackend, memoryStore, type UsageStore } from "@usage/counter-core";
import { openUsage, StoreDimensionsError, UsageTracker } from "@usage/tracker";
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
  ])("is refused where it has %s, and says what to do", (_, dimensions, missing) => {
    const counter = new LocalCounterBackend(["gpt"], { dimensions: ["requests", "tokens"] });
    const store = storeOf<"requests" | "tokens">(dimensions);
    const message = `the store's totals do not return ${missing}, only ${dimensions.join(", ")}: open it with the counter's dimensions, { dimensions: ["requests","tokens"] }`;
    const failure = caught(() => new UsageTracker(counter, { store }));
    expect(failure).toBeInstanceOf(StoreDimensionsError);
    expect(failure).toMatchObject({ code: "USAGE_STORE_DIMENSIONS", missing: missing.split(", "), message });
  });

  it("does not open as if everything were stored", async () => {
    const counter = new LocalCounterBackend(["gpt"], { dimensions: ["tokens"] });
    await expect(openUsage({ counter, store: storeOf<"tokens">(["apiRequests"]) })).rejects.toThrow(
      StoreDimensionsError,
    );
  });

  it("takes one that has more than its counter has, in any order", async () => {
    const counter = new LocalCounterBackend(["oci"], { dimensions: ["egressBytes"] });
    const store = storeOf<"egressBytes">(["ingressBytes", "egressBytes", "apiRequests"]);
    const tracker = new UsageTracker(counter, { store });
    tracker.record("oci", { egressBytes: 5 });
    await tracker.refresh();
    expect(await tracker.flush()).toEqual({ stored: 1, rejected: [] });
  });
});

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}
