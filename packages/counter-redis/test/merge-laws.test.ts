import { systemClock, type Tally } from "@usage/counter-core";
import fc from "fast-check";
import type { Redis } from "ioredis";
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

/** What one of three writers says of itself, and what it asks for; what it was granted before is known to it or not. */
const said = fc.record({
  writer: fc.constantFrom("v", "w", "w.1"),
  own: fc.tuple(amount, amount),
  more: fc.tuple(fc.nat(30), fc.nat(30)),
  returns: fc.tuple(fc.nat(10), fc.nat(10)),
  forgives: fc.option(fc.constantFrom("v", "w", "w.1", undefined), { nil: null }),
  asks: fc.option(fc.tuple(ask(), ask())),
  rows: fc.dictionary(fc.constantFrom("v", "w", "x"), usage),
});

describe("merge.lua, whatever is held, granted and returned", () => {
  it("holds what its fields add up to, and raises what is granted only while all of it is within the limit", async () => {
    const client = await patientClient();
    const all = fc.array(said, { minLength: 1, maxLength: 15 });
    await fc.assert(
      fc.asyncProperty(all, fc.boolean(), async (calls, isRipe) => {
        const prefix = freshPrefix();
        const counts = new RedisSharedCounts({ client, prefix, dimensions: DIMENSIONS, clock: systemClock });
        const bucket = { period: periodOf("2026-01"), number: bucketOf("oci") };
        const { epoch } = await counts.merge(bucket, "w", [{ backend: "oci", writer: "w", own: [0, 0] }]);
        await counts.merge(bucket, "w", [{ backend: "oci", writer: "w", own: [0, 0], mark: epoch }]);
        if (isRipe) await counts.ripen(bucket, epoch);
        const key = countsKey(prefix, "2026-01", "oci");
        // A late call knows less than the writer was granted meanwhile.
        for (const { writer, own, more, returns, forgives, asks, rows } of calls) {
          if (forgives !== null)
            await counts.forgive(bucket, "oci", { silentMs: 0, ...(forgives && { writer: forgives }) });
          const before = await slicesOf(client, key);
          const known = before.pairs.get(writer) ?? [];
          const pairs = DIMENSIONS.map((_, d) => {
            const [granted = 0, returned = 0, forgiven = 0] = known[d] ?? [];
            return {
              forgiven,
              granted: asks ? granted : granted + (more[d] ?? 0),
              returned: returned + (returns[d] ?? 0),
            };
          });
          const wanted = asks?.map(({ limit, beyond, need }, d) => {
            return { limit, target: (known[d]?.[0] ?? 0) + beyond, need };
          });
          const item = { backend: "oci", writer, own, pairs, rows: rowsOf({ rows }) };
          const { items } = await counts.merge(bucket, "w", [{ ...item, ...(wanted && { asks: wanted }) }]);
          const after = await slicesOf(client, key);
          const { slices, sums } = items[0] as MergedItem;
          expect(slices).toMatchObject({
            isRipe,
            held: DIMENSIONS.map((_, d) => after.held(d)),
            forgiven: DIMENSIONS.map((_, d) => after.forgiven(d)),
          });
          expect(after.stored).toEqual(DIMENSIONS.map((_, d) => after.held(d)));
          for (const [d] of DIMENSIONS.entries()) {
            const granted = (after.pairs.get(writer)?.[d]?.[0] ?? 0) - (pairs[d]?.granted ?? 0);
            if (wanted === undefined || granted <= 0) continue;
            expect(isRipe).toBe(true);
            expect((sums[d] as number) + after.held(d)).toBeLessThanOrEqual(wanted[d]?.limit ?? 0);
          }
          // Again, late, it changes nothing but how often somebody is known to be hungry.
          await counts.merge(bucket, "w", [item]);
          const again = await slicesOf(client, key);
          expect([again.pairs, again.stored]).toEqual([after.pairs, after.stored]);
        }
        await client.del(key);
      }),
      { numRuns: 150 },
    );
  });

  it("grants to a target, once however often it is asked, and less as the room shrinks", async () => {
    const client = await patientClient();
    const prefix = freshPrefix();
    const counts = new RedisSharedCounts({ client, prefix, dimensions: ["requests"], clock: systemClock });
    const bucket = { period: periodOf("2026-01"), number: bucketOf("oci") };
    const pairs = [{ granted: 0, returned: 0, forgiven: 0 }];
    const ask = async (writer: string, own: number, target: number, need: number, mark = ""): Promise<unknown> => {
      const asks = [{ limit: 1_600, target, need }];
      const item = { backend: "oci", writer, own: [own], pairs, asks, mark };
      const { items } = await counts.merge(bucket, writer, [item]);
      const { slices } = items[0] as MergedItem;
      return [slices?.pairs[0]?.granted, slices?.held[0], slices?.hungry[0]];
    };
    const { epoch } = await counts.merge(bucket, "v", [{ backend: "oci", writer: "v", own: [0] }]);
    expect(await ask("v", 0, 50, 1, epoch)).toEqual([0, 0, 0]);
    await counts.ripen(bucket, "another");
    expect(await ask("v", 0, 50, 1)).toEqual([0, 0, 0]);
    await counts.ripen(bucket, epoch);
    expect(await ask("v", 0, 50, 1)).toEqual([50, 50, 0]);
    expect(await ask("v", 0, 50, 1)).toEqual([50, 50, 0]);
    // A sixteenth of what is left, or what is needed.
    expect(await ask("w", 0, 1_000, 1)).toEqual([96, 146, 0]);
    expect(await ask("w", 0, 1_000, 800)).toEqual([896, 946, 0]);
    expect(await ask("w", 896, 2_000, 700)).toEqual([896 + 654, 704, 1]);
    expect(await ask("v", 0, 60, 5)).toEqual([50, 704, 2]);
    expect(await ask("v", 0, 60, 0)).toEqual([50, 704, 2]);
    // Of what is used up nobody is hungry.
    expect(await ask("w", 1_600, 3_000, 5)).toEqual([1_550, 50, 2]);
  });
});

function ask(): fc.Arbitrary<{ limit: number; beyond: number; need: number }> {
  return fc.record({ limit: fc.constantFrom(0, 40, 200, 2 ** 50), beyond: fc.nat(60), need: fc.nat(20) });
}

interface Slices {
  readonly pairs: ReadonlyMap<string, readonly (readonly number[])[]>;
  /** As the hash has it. */
  readonly stored: readonly number[];
  /** As its fields add up. */
  held(d: number): number;
  forgiven(d: number): number;
}

async function slicesOf(client: Redis, key: string): Promise<Slices> {
  const fields = await client.hgetall(key);
  const amounts = (field: string): number[] => (fields[field] ?? "").split(" ").filter(Boolean).map(Number);
  // The hash has dimensions in an order of its own.
  const places = DIMENSIONS.map((name) => (fields[":d"] ?? "").split(" ").indexOf(name));
  const writers = Object.keys(fields).flatMap((field) => (field.startsWith("!") ? [field.slice(1)] : []));
  const pairs = new Map(
    writers.map((writer) => {
      const all = amounts(`!${writer}`);
      return [writer, places.map((place) => [0, 1, 2].map((i) => all[1 + 3 * place + i] ?? 0))] as const;
    }),
  );
  const held = (d: number): number =>
    writers.reduce((sum, writer) => {
      const [granted = 0, returned = 0, forgiven = 0] = pairs.get(writer)?.[d] ?? [];
      return sum + Math.max(0, granted - returned - forgiven - (amounts(`/${writer}`)[places[d] as number] ?? 0));
    }, 0);
  const forgiven = (d: number): number => [...pairs.values()].reduce((sum, of) => sum + (of[d]?.[2] ?? 0), 0);
  return { pairs, stored: places.map((place) => amounts(":h")[place] ?? 0), held, forgiven };
}

function rowsOf({ rows }: Pick<One, "rows">): readonly Tally[] {
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
