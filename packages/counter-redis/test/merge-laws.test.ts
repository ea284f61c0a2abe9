import { systemClock, type Tally } from "@usage/counter-core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bucketOf } from "../src/server/keys.ts";
import { RedisSharedCounts } from "../src/server/redis-shared-counts.ts";
import type { MergedItem } from "../src/server/shared-counts.ts";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { countsKey, periodOf } from "./support/shared.ts";

const DIMENSIONS = ["requests", "bytes"];
const WRITERS = ["w", "w.1", "v/x", "{}", "🪣", ":d", " "];
/** Sums of these stay below 2^53: refusing would depend on the order. */
const amount = fc.oneof(fc.nat(20), fc.constantFrom(0, 2 ** 31, 2 ** 49, 2 ** 49 + 1));
const usage = fc.dictionary(fc.constantFrom(...DIMENSIONS, "more"), amount);
const sent = fc.record({
  writer: fc.constantFrom(...WRITERS),
  own: fc.tuple(amount, amount),
  rows: fc.dictionary(fc.constantFrom(...WRITERS), usage),
});
/** Every one at least once, some more often, in any order. */
const schedule = fc.array(sent, { minLength: 1, maxLength: 12 }).chain((all) =>
  fc.record({
    all: fc.constant(all),
    order: fc
      .subarray(all)
      .chain((again) => fc.shuffledSubarray([...all, ...again], { minLength: all.length + again.length })),
  }),
);
type One = typeof sent extends fc.Arbitrary<infer T> ? T : never;

describe("merge.lua, whatever is sent how often and in which order", () => {
  it("holds the maximum of each field and, of each dimension, the sum over its writers", async () => {
    const client = await patientClient();
    await fc.assert(
      fc.asyncProperty(schedule, fc.boolean(), async ({ all, order }, isReversed) => {
        const prefix = freshPrefix();
        const dimensions = isReversed ? [...DIMENSIONS].reverse() : DIMENSIONS;
        const counts = new RedisSharedCounts({ client, prefix, dimensions, clock: systemClock });
        const bucket = { period: periodOf("2026-01"), number: bucketOf("oci") };
        let last: MergedItem | undefined;
        for (const [i, one] of order.entries()) {
          const own = isReversed ? [one.own[1], one.own[0]] : one.own;
          const { items } = await counts.merge(bucket, "w", [
            { backend: "oci", writer: one.writer, own, rows: rowsOf(one) },
          ]);
          last = items[0] as MergedItem;
          // What is answered is what is there right after the call.
          expect(last.sums).toEqual(dimensions.map((name) => sumOf(expected(order.slice(0, i + 1)), name)));
        }
        const [found] = await counts.tallies(bucket, ["oci"]);
        expect(new Map(found?.tallies.map((tally) => [tally.writer, tally.usage]))).toEqual(
          withoutZeros(expected(all)),
        );
        expect(last?.sums).toEqual(dimensions.map((name) => sumOf(expected(all), name)));
        await client.del(countsKey(prefix, "2026-01", "oci"));
      }),
      { numRuns: 150 },
    );
  });
});

function rowsOf({ rows }: One): readonly Tally[] {
  return Object.entries(rows).map(([writer, of]) => ({ writer, period: "2026-01", backend: "oci", usage: of }));
}

/** By writer, what each dimension comes to. */
function expected(all: readonly One[]): Map<string, Record<string, number>> {
  const held = new Map<string, Record<string, number>>();
  const raise = (writer: string, of: Readonly<Record<string, number>>): void => {
    const known = held.get(writer) ?? {};
    for (const [name, most] of Object.entries(of)) known[name] = Math.max(known[name] ?? 0, most);
    held.set(writer, known);
  };
  for (const one of all) {
    raise(one.writer, { requests: one.own[0], bytes: one.own[1] });
    // Who asks says himself what he counted.
    for (const [writer, of] of Object.entries(one.rows)) if (writer !== one.writer) raise(writer, of);
  }
  return held;
}

function sumOf(held: ReadonlyMap<string, Readonly<Record<string, number>>>, name: string): number {
  return [...held.values()].reduce((sum, of) => sum + (of[name] ?? 0), 0);
}

function withoutZeros(held: ReadonlyMap<string, Record<string, number>>): Map<string, Record<string, number>> {
  const left = Array.from(held, ([writer, of]) => {
    return [writer, Object.fromEntries(Object.entries(of).filter(([, most]) => most > 0))] as const;
  });
  return new Map(left.filter(([, of]) => Object.keys(of).length > 0));
}
