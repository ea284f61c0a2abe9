import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { DIMENSIONS, held, merge, type Sent } from "./support/scripts.ts";

const WRITERS = ["w", "w.1", "v/x", "{}", "🪣"];
/** Sums of these stay below 2^53: refusing would depend on the order. */
const amount = fc.oneof(fc.nat(20), fc.constantFrom(0, 2 ** 31, 2 ** 49, 2 ** 49 + 1));
const field = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.constantFrom(...WRITERS), fc.constantFrom(...DIMENSIONS, "more"))
      .map(([writer, dimension]) => `${writer}/${dimension}`),
  },
  { weight: 1, arbitrary: fc.constantFrom(...DIMENSIONS).map((dimension) => `${dimension}:taken`) },
);
const sent = fc.record({
  backend: fc.nat(2),
  writer: fc.constantFrom(...WRITERS),
  fields: fc
    .uniqueArray(fc.tuple(field, amount), { selector: ([name]) => name, maxLength: 6 })
    .map((pairs): Readonly<Record<string, number>> => Object.fromEntries(pairs)),
});
/** Every one at least once, some more often, in any order, in calls of several keys. */
const schedule = fc.array(sent, { minLength: 1, maxLength: 12 }).chain((all) =>
  fc.record({
    all: fc.constant(all),
    order: fc
      .subarray(all)
      .chain((again) => fc.shuffledSubarray([...all, ...again], { minLength: all.length + again.length })),
    keysPerCall: fc.integer({ min: 1, max: 3 }),
  }),
);
type One = typeof sent extends fc.Arbitrary<infer T> ? T : never;

describe("merge.lua, whatever is sent how often and in which order", () => {
  it("holds the maximum of each field and, of each dimension, the sum over its writers", async () => {
    const redis = await patientClient();
    await fc.assert(
      fc.asyncProperty(schedule, async ({ all, order, keysPerCall }) => {
        const prefix = freshPrefix();
        const keyOf = (backend: number): string => `${prefix}:${backend}`;
        for (const call of callsOf(order, keysPerCall)) {
          const answers = await merge(
            redis,
            call.map((one): Sent => ({ ...one, key: keyOf(one.backend) })),
          );
          for (const [k, one] of call.entries()) {
            // What is answered is what is there right after the call.
            const now = ((await held(redis, keyOf(one.backend))) ?? {}) as Record<string, string>;
            expect(answers[k]?.sum).toEqual(DIMENSIONS.map((dimension) => Number(now[dimension] ?? 0)));
            expect(answers[k]?.taken).toEqual(DIMENSIONS.map((dimension) => Number(now[`${dimension}:taken`] ?? 0)));
          }
        }
        for (const backend of [0, 1, 2]) expect(await held(redis, keyOf(backend))).toEqual(expected(all, backend));
        await redis.del([0, 1, 2].map(keyOf));
      }),
      { numRuns: 150 },
    );
  });

  it("answers of the asking writer what was there before the call", async () => {
    const redis = await patientClient();
    await fc.assert(
      fc.asyncProperty(fc.array(sent, { maxLength: 8 }), sent, async (before, last) => {
        const key = freshPrefix();
        for (const one of before) await merge(redis, [{ ...one, key }]);
        const was = (await held(redis, key)) as Record<string, string> | null;
        const [answer] = await merge(redis, [{ ...last, key }]);
        const own = DIMENSIONS.map((dimension) => Number(was?.[`${last.writer}/${dimension}`] ?? 0));
        expect(answer?.own).toEqual(own);
        await redis.del(key);
      }),
      { numRuns: 100 },
    );
  });
});

/** Calls of at most `size` keys, no key twice in one. */
function callsOf(order: readonly One[], size: number): readonly (readonly One[])[] {
  const calls: One[][] = [];
  for (const one of order) {
    const last = calls.at(-1);
    if (last === undefined || last.length === size || last.some(({ backend }) => backend === one.backend)) {
      calls.push([one]);
    } else last.push(one);
  }
  return calls;
}

function expected(all: readonly One[], backend: number): Record<string, string> | null {
  const amounts: Record<string, number> = {};
  for (const [name, sent] of all
    .filter((one) => one.backend === backend)
    .flatMap(({ fields }) => Object.entries(fields))) {
    if (sent > 0) amounts[name] = Math.max(amounts[name] ?? 0, sent);
  }
  const tallies = Object.entries(amounts).filter(([name]) => name.includes("/"));
  for (const [name, most] of tallies) {
    const dimension = name.slice(name.lastIndexOf("/") + 1);
    amounts[dimension] = (amounts[dimension] ?? 0) + most;
  }
  const texts = Object.entries(amounts).map(([name, most]) => [name, String(most)]);
  return texts.length === 0 ? null : Object.fromEntries(texts.sort());
}
