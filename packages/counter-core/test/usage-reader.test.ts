import { AmountError, LocalCounterBackend, UnknownDimensionError } from "@usage/counter-core";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

/** What usage objects mean, in plain words. Returns what is counted, or the class of what is thrown. */
function meaning(dimensions: readonly string[], usage: unknown): readonly number[] | (new (...args: never[]) => Error) {
  if (typeof usage !== "object" || usage === null) return TypeError;
  const isPlain = usage.constructor === Object;
  if (!isPlain && Symbol.iterator in usage) return TypeError;
  const keys: string[] = [];
  for (const key in usage) keys.push(key);
  if (keys.some((key) => !dimensions.includes(key))) return UnknownDimensionError;
  const amounts = dimensions.map((dimension) => {
    const isInherited = dimension in Object.prototype && !keys.includes(dimension) && !Object.hasOwn(usage, dimension);
    return isInherited ? undefined : (usage as Readonly<Record<string, unknown>>)[dimension];
  });
  const isAmount = (value: unknown): value is number | undefined => {
    return value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0);
  };
  return amounts.every(isAmount) ? amounts.map((amount) => amount ?? 0) : AmountError;
}

const LISTS = [
  ["a1"],
  ["a1", "b"],
  ["a1", "b", "c"],
  ["b", "constructor", "a1", "c"],
  ["a1", "b", "c", "d", "e"],
  ["e", "d", "toString", "b", "a1", "f"],
  ["a1", "b", "c", "d", "e", "f", "g"],
  ["a1", "b", "c", "d", "e", "f", "g", "h"],
  ["a1", "b", "c", "d", "e", "f", "g", "h", "valueOf"],
];

const key = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom("a1", "b", "c", "d", "e", "f", "g", "h") },
  { weight: 1, arbitrary: fc.constantFrom("constructor", "toString", "valueOf", "A1", "0", "__proto__", "") },
);
const value = fc.oneof(
  { weight: 20, arbitrary: fc.maxSafeNat() },
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(-1, -0, 0.5, NaN, 2 ** 53, "5", 5n, null, true, Object, {}, [5]) },
);
const entries = fc.array(fc.tuple(key, value), { maxLength: 10 });

function define(target: object, all: readonly (readonly [string, unknown])[], isListed = true): object {
  for (const [name, content] of all) {
    Object.defineProperty(target, name, { value: content, enumerable: isListed, configurable: true, writable: true });
  }
  return target;
}

/** Objects of every make. */
const made = fc
  .record({ own: entries, inherited: entries, unlisted: entries, kind: fc.nat(10) })
  .map(({ own, inherited, unlisted, kind }): unknown => {
    if (kind < 3) return define({}, own);
    if (kind === 3) return define(Object.create(null), own);
    if (kind === 4) return define(Object.create(define({}, inherited)), own);
    if (kind === 5) return define(define({}, own), unlisted, false);
    if (kind === 6) {
      class Measured {}
      for (const [name, content] of inherited) {
        if (name !== "constructor" && name !== "__proto__") {
          Object.defineProperty(Measured.prototype, name, { get: () => content, configurable: true });
        }
      }
      return define(new Measured(), own);
    }
    if (kind === 7) return new Proxy(define({}, own), {});
    if (kind === 8) {
      const hidden = new Map<PropertyKey, unknown>(inherited);
      return new Proxy(define({}, own), { get: (target, name) => hidden.get(name) ?? Reflect.get(target, name) });
    }
    if (kind === 9) return Object.assign(define({}, own), { [Symbol("s")]: "5", [Symbol.iterator]: () => [] });
    return kind === 10 ? own : define(new Map(), own);
  });

describe("usage objects", () => {
  it.each(LISTS.flatMap((dimensions) => [["first", dimensions] as const, ["second", dimensions] as const]))(
    "mean the same however they are made (the %s list of its process: %j)",
    async (place, dimensions) => {
      // The first list of dimensions that a process counts by is read in another way than all others.
      vi.resetModules();
      const { LocalCounterBackend: Counter } = await import("@usage/counter-core");
      if (place === "second") new Counter(["acme"], { dimensions: ["other"] });
      const counter = new Counter(["acme"], { dimensions });
      fc.assert(
        fc.property(made, (usage) => {
          const expected = meaning(dimensions, usage);
          counter.setBaseline("acme", {});
          let thrown: unknown;
          try {
            expect(counter.fits("acme", usage as object)).toBe(true);
            counter.setBaseline("acme", usage as Readonly<Record<string, number>>);
          } catch (error) {
            thrown = error;
          }
          const counted = counter.totalAll("acme");
          if (typeof expected === "function") {
            expect((thrown as Error).name).toBe(expected.name);
            expect(dimensions.every((dimension) => counted[dimension] === 0)).toBe(true);
          } else {
            expect(thrown).toBeUndefined();
            expect(dimensions.map((dimension) => counted[dimension])).toEqual(expected.map((amount) => amount + 0));
          }
        }),
        { numRuns: 500 },
      );
    },
  );

  it("are read again and again by a counter that is not the first of its process", () => {
    for (const dimensions of LISTS) {
      const counter = new LocalCounterBackend(["acme"], { dimensions });
      const usage = Object.fromEntries(dimensions.map((dimension, place) => [dimension, place + 1]));
      const backwards = Object.fromEntries(Object.entries(usage).reverse());
      const [first = ""] = dimensions;
      for (let i = 0; i < 100; i++) {
        counter.addAll("acme", usage);
        counter.addAll("acme", backwards);
        counter.addAll("acme", { [first]: 1 });
        counter.addAll("acme", { ...usage, [first]: undefined } as unknown as Readonly<Record<string, number>>);
        expect(() => counter.addAll("acme", { ...usage, misspelt: 0 })).toThrow(UnknownDimensionError);
        expect(() => counter.addAll("acme", { ...usage, [first]: -1 })).toThrow(AmountError);
      }
      const expected = dimensions.map((dimension, place) => [dimension, 300 * (place + 1)]);
      expect(counter.totalAll("acme")).toEqual(Object.fromEntries(expected));
    }
  });
});
