import { LocalCounterBackend, memoryStore } from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { isUsedUp } from "../src/used-up.ts";

const DIMENSIONS = ["a", "b"];
/** What may be so of one dimension. */
const CASES = [undefined, 0, 3].flatMap((limit) =>
  [0, 2, 3, 4].flatMap((used) => [0, 1].flatMap((held) => [0, 1, 2].map((more) => ({ limit, used, held, more })))),
);

describe("what was used of a backend", () => {
  it("leaves no room, whatever is given back, exactly where a decision says that it is the limit's", () => {
    const reasons = new Set<string | undefined>();
    for (const a of CASES) {
      for (const b of CASES) {
        const both = <T>(of: (one: (typeof CASES)[number]) => T): { a: T; b: T } => ({ a: of(a), b: of(b) });
        const counter = new LocalCounterBackend(["oci"], { dimensions: DIMENSIONS });
        const store = memoryStore({ dimensions: DIMENSIONS });
        const limits = both(({ limit }) => limit) as { a: number; b: number };
        const tracker = new UsageTracker(counter, { store, limits: { oci: limits } });
        tracker.record(
          "oci",
          both(({ used }) => used),
        );
        tracker.tryReserve(
          "oci",
          both(({ held }) => held),
        );
        const more = both((one) => one.more);
        const { reason } = tracker.check("oci", more);
        reasons.add(reason);
        if (isUsedUp(counter, "oci", more) !== (reason === "limit")) expect.fail(JSON.stringify({ a, b, reason }));
      }
    }
    expect(reasons).toEqual(new Set(["held", "limit", undefined]));
  });

  it("leaves no room beyond 2^53-1 where there is no limit", () => {
    const counter = new LocalCounterBackend(["oci"], { dimensions: DIMENSIONS });
    counter.addAll("oci", { a: Number.MAX_SAFE_INTEGER - 1 });
    expect(isUsedUp(counter, "oci", { a: 1 })).toBe(false);
    expect(isUsedUp(counter, "oci", { a: 2 })).toBe(true);
  });
});
