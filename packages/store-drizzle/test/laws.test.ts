import { STORAGE_DIMENSIONS, type Tally } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PERIOD } from "./support/tallies.ts";

const amounts = fc.oneof(fc.nat(20), fc.constant(Number.MAX_SAFE_INTEGER), fc.maxSafeNat());
const name = fc.constantFrom("a", "a.1", "__proto__", "🪣");
const tallies = fc.array(
  fc.record({
    writer: name,
    period: fc.constant(PERIOD),
    backend: name,
    usage: fc.record(
      { apiRequests: amounts, egressBytes: amounts, ingressBytes: amounts },
      { requiredKeys: [], noNullPrototype: true },
    ),
  }),
  { maxLength: 40 },
);

/** Every tally at least once, some more often, shuffled, and cut into merges. */
const schedules = tallies.chain((all) =>
  fc.record({
    all: fc.constant(all),
    sent: fc
      .subarray(all)
      .chain((again) => fc.shuffledSubarray([...all, ...again], { minLength: all.length + again.length })),
    cut: fc.integer({ min: 1, max: 9 }),
  }),
);

describe("merging into a store", () => {
  it("keeps the maximum of each key, whatever the order, the chunks and the repetitions, and sums over writers", async () => {
    await fc.assert(
      fc.asyncProperty(schedules, async ({ all, sent, cut }) => {
        await using store = await openSqliteStore(":memory:");
        for (let start = 0; start < sent.length; start += cut) await store.merge(sent.slice(start, start + cut));
        const { usage: totals } = await store.totals(PERIOD, "a");
        for (const backend of new Set(all.map((one) => one.backend))) {
          for (const dimension of STORAGE_DIMENSIONS) {
            const stored = totals.get(backend);
            expect(stored?.all[dimension] ?? 0).toBe(expectedSum(all, backend, dimension));
            expect(stored?.own[dimension] ?? 0).toBe(expectedMax(all, "a", backend, dimension));
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

function expectedMax(all: readonly Tally[], writer: string, backend: string, dimension: string): number {
  const own = all.filter((one) => one.writer === writer && one.backend === backend);
  return Math.max(0, ...own.map((one) => one.usage[dimension] ?? 0));
}

function expectedSum(all: readonly Tally[], backend: string, dimension: string): number {
  const writers = new Set(all.map((one) => one.writer));
  const sum = [...writers].reduce((total, writer) => total + BigInt(expectedMax(all, writer, backend, dimension)), 0n);
  return sum > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(sum);
}
