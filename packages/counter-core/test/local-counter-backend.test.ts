import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import {
  AmountError,
  LocalCounterBackend,
  NameError,
  type StorageDimension,
  ThreadedCounterBackend,
  TooManyBackendsError,
  UnknownDimensionError,
  UnknownUsageError,
  utcDays,
} from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { describe, expect, it } from "vitest";

describe("LocalCounterBackend", () => {
  it.each(["", "x".repeat(257), "a\nb", "a\u0000", "\u007f", "\ud800", "\udc00x", 5, null])(
    "refuses the name %j",
    (name) => {
      expect(() => new LocalCounterBackend(["oci", name as string])).toThrow(NameError);
      const counter = new LocalCounterBackend(["oci"]);
      expect(counter.backends()).toEqual(["oci"]);
    },
  );

  it.each(["", "1a", "a-b", "a b", "_a", "__proto__", "é", "a".repeat(65), 5])(
    "refuses the dimension %j",
    (dimension) => {
      const dimensions = ["requests", dimension as string];
      expect(() => new LocalCounterBackend(["oci"], { dimensions })).toThrow(NameError);
    },
  );

  it("refuses no dimensions, and one dimension twice", () => {
    expect(() => new LocalCounterBackend(["oci"], { dimensions: [] })).toThrow(/at least one/);
    expect(() => new LocalCounterBackend(["oci"], { dimensions: ["a", "a"] })).toThrow(/differ/);
  });

  it.each([
    [1, false],
    [2, false],
    [3, false],
    [4, false],
    [5, false],
    [8, false],
    [9, false],
    [5, true],
  ])("counts %i dimensions of one's own, all or nothing of each call (threaded: %s)", (size, shared) => {
    // `constructor` and `toString` are dimensions like any other, though every object has something of that name.
    const dimensions = ["constructor", "toString", "c", "d", "e", "f", "g", "h", "i"].slice(0, size);
    const counter = new (shared ? ThreadedCounterBackend : LocalCounterBackend)(["llm", "other"], { dimensions });
    const usage = Object.fromEntries(dimensions.map((dimension, i) => [dimension, i + 1]));
    counter.addAll("llm", usage);
    counter.addAll("llm", {});
    expect(counter.totalAll("llm")).toEqual(usage);
    const last = dimensions.at(-1) as string;
    counter.add("llm", last, Number.MAX_SAFE_INTEGER - size);
    expect(() => counter.addAll("llm", usage)).toThrow(AmountError);
    for (const amount of [-1, 0.5, Number.NaN, 2 ** 53, 1e300, "5", 5n]) {
      expect(() => counter.addAll("llm", { ...usage, [last]: amount as number })).toThrow(AmountError);
    }
    expect(counter.totalAll("llm")).toEqual({ ...usage, [last]: Number.MAX_SAFE_INTEGER });
    expect(Object.values(counter.totalAll("other")).every((amount) => amount === 0)).toBe(true);
  });

  it("reads usage from getters and class instances", () => {
    class Measured {
      get apiRequests(): number {
        return 2;
      }
    }
    const counter = new LocalCounterBackend(["oci"]);
    counter.addAll("oci", new Measured());
    expect(counter.load("oci", "apiRequests")).toBe(2);
  });

  it("holds as many backends as it may, and refuses more with an error that evicts nothing", async () => {
    const counter = new LocalCounterBackend<StorageDimension>([], { maxBackends: 100 });
    for (let i = 0; i < 100; i++) {
      await counter.ensure([`b${i}`, "b0"], async () => []);
      counter.add(`b${i}`, "apiRequests", i + 1);
    }
    await expect(counter.ensure(["one more"], async () => [])).rejects.toThrow(TooManyBackendsError);
    expect(counter.backends()).toHaveLength(100);
    for (let i = 0; i < 100; i++) expect(counter.load(`b${i}`, "apiRequests")).toBe(i + 1);
    expect(await counter.tallies()).toHaveLength(100);
    expect(() => new LocalCounterBackend(["a", "b"], { maxBackends: 1 })).toThrow(/from 2, got 1/);
  });

  it("rejects while the store cannot be read, and holds nothing", async () => {
    const counter = new LocalCounterBackend();
    const ensure = () => counter.ensure(["acme"], () => Promise.reject(new Error("the database is away")));
    await expect(ensure()).rejects.toThrow(UnknownUsageError);
    await expect(ensure()).rejects.toThrow(/"acme".*the database is away/);
    expect(counter.has("acme")).toBe(false);
  });

  it("keeps closed periods through backends that come later", async () => {
    const clock = new ManualClock("2026-01-31T23:00:00Z");
    const counter = new LocalCounterBackend(["oci"], { clock });
    counter.add("oci", "apiRequests", 5);
    clock.advance(3_600_000);
    await counter.ensure(["b2"], async () => []);
    counter.add("b2", "apiRequests", 7);
    expect((await counter.tallies()).map(({ period, backend, usage }) => [period, backend, usage.apiRequests])).toEqual(
      [
        ["2026-01", "oci", 5],
        ["2026-02", "b2", 7],
      ],
    );
  });

  it("lets go of what was not used for a while and is stored, but never of what was named at the start", async () => {
    const clock = new ManualClock("2026-01-10T00:00:00Z");
    const counter = new LocalCounterBackend<StorageDimension>(["oci"], { clock, idleMs: 60_000 });
    await counter.ensure(["stored", "unstored", "used"], async () => []);
    counter.add("stored", "apiRequests", 1);
    counter.confirm(await counter.tallies());
    counter.add("unstored", "apiRequests", 1);
    for (let second = 0; second < 120; second++) {
      clock.advance(1_000);
      counter.has("used");
    }
    expect(counter.backends()).toEqual(["oci", "unstored", "used"]);
  });

  it("counts under another name in the month before what it had let go of", async () => {
    const clock = new ManualClock("2026-01-31T23:00:00Z");
    const counter = new LocalCounterBackend<StorageDimension>([], { clock });
    await counter.ensure(["acme"], async () => []);
    counter.add("acme", "apiRequests", 5);
    counter.confirm(await counter.tallies());
    clock.set("2026-02-01T00:00:10Z");
    clock.advance(1_000);
    expect(counter.release("acme")).toBe(true);
    await counter.ensure(["acme"], async () => []);
    clock.set("2026-01-31T23:59:00Z");
    clock.advance(1_000);
    counter.add("acme", "apiRequests", 1);
    const [tally] = await counter.tallies();
    expect(tally).toMatchObject({ period: "2026-01", usage: { apiRequests: 1 } });
    expect(tally?.writer).not.toBe(counter.writer);
  });

  it("counts days when told to", async () => {
    const clock = new ManualClock("2026-01-31T23:00:00Z");
    const counter = new LocalCounterBackend(["oci"], { clock, periods: utcDays });
    counter.add("oci", "apiRequests", 1);
    clock.advance(3_600_000);
    counter.add("oci", "apiRequests", 1);
    expect((await counter.tallies()).map(({ period }) => period)).toEqual(["2026-01-31", "2026-02-01"]);
  });

  it("lets a period go once it is confirmed and the next one has ended; should it come back, it is a new generation", async () => {
    const clock = new ManualClock("2026-01-15T00:00:00Z");
    const counter = new LocalCounterBackend(["oci"], { clock });
    counter.add("oci", "apiRequests", 5);
    counter.confirm(await counter.tallies());
    clock.set("2026-02-15T00:00:00Z");
    clock.advance(1_000);
    clock.set("2026-01-20T00:00:00Z");
    clock.advance(1_000);
    counter.add("oci", "apiRequests", 1);
    const continued = await counter.tallies();
    expect(continued).toMatchObject([{ writer: counter.writer, usage: { apiRequests: 6 } }]);
    counter.confirm(continued);
    clock.set("2026-04-15T00:00:00Z");
    clock.advance(2_000);
    clock.set("2026-01-25T00:00:00Z");
    clock.advance(1_000);
    counter.add("oci", "apiRequests", 2);
    expect(await counter.tallies()).toMatchObject([{ writer: `${counter.writer}.1`, usage: { apiRequests: 2 } }]);
  });

  it("swaps out what closed periods still hold, by period where it is asked for all backends", () => {
    const clock = new ManualClock("2026-01-31T23:00:00Z");
    const counter = new LocalCounterBackend(["oci", "b2"], { clock });
    counter.add("oci", "apiRequests", 5);
    clock.advance(3_600_000);
    counter.add("oci", "apiRequests", 7);
    counter.add("b2", "egressBytes", 1);
    expect(counter.swapAllBackends()).toEqual([
      { period: "2026-01", backend: "oci", usage: { apiRequests: 5, egressBytes: 0, ingressBytes: 0 } },
      { period: "2026-02", backend: "oci", usage: { apiRequests: 7, egressBytes: 0, ingressBytes: 0 } },
      { period: "2026-02", backend: "b2", usage: { apiRequests: 0, egressBytes: 1, ingressBytes: 0 } },
    ]);
    expect(counter.swapAllBackends()).toEqual([]);
    counter.add("oci", "apiRequests", 2);
    expect(counter.swap("oci", "apiRequests")).toBe(2);
    counter.add("oci", "egressBytes", 3);
    expect(counter.swapAll("oci")).toEqual({ apiRequests: 0, egressBytes: 3, ingressBytes: 0 });
  });

  it("draws a writer of its own: a UUIDv7 that sorts by time", () => {
    const drawn = (at: string): string => new LocalCounterBackend(["oci"], { clock: new ManualClock(at) }).writer;
    const [early, late] = [drawn("2026-01-01"), drawn("2026-01-02")];
    expect(drawn("2026-01-01")).not.toBe(early);
    expect(early).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(early < late).toBe(true);
  });

  it.each(["LocalCounterBackend", "ThreadedCounterBackend"])("%s does not keep its process alive", async (kind) => {
    const code = `
      import { ${kind} } from "@usage/counter-core";
      new ${kind}(["oci"]).add("oci", "apiRequests", 1);
    `;
    const args = ["--conditions=@usage/source", "--input-type=module-typescript", "--eval", code];
    await promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname, timeout: 20_000 });
  });

  it("takes a list of names, not one name", () => {
    expect(() => new LocalCounterBackend("oci")).toThrow(/a list of names, got "oci"/);
  });

  it("absorbs rows also for dimensions that every object seems to have", async () => {
    const dimensions = ["constructor", "toString"] as const;
    const counter = new LocalCounterBackend(["llm"], { dimensions });
    const { key: period } = counter.period();
    await counter.absorb([
      { writer: "a", period, backend: "llm", usage: { constructor: 7 } as unknown as Record<string, number> },
      { writer: "b", period, backend: "llm", usage: { toString: 2 } as unknown as Record<string, number> },
    ]);
    expect(Object.entries(counter.totalAll("llm"))).toEqual([
      ["constructor", 7],
      ["toString", 2],
    ]);
  });

  it("refuses a misspelt dimension also on objects of a class, and beside a getter", () => {
    class Measured {
      egresBytes = 5;
      get apiRequests(): number {
        return 1;
      }
    }
    const counter = new LocalCounterBackend(["oci"]);
    expect(() => counter.addAll("oci", new Measured())).toThrow(UnknownDimensionError);
    expect(() => counter.addAll("oci", Object.create({ egresBytes: 5 }))).toThrow(UnknownDimensionError);
    expect(counter.load("oci", "apiRequests")).toBe(0);
  });

  it.each([1, 2, 3, 4, 5, 9])(
    "leaves the backends beside alone, also those above their limits, with %i dimensions",
    (size) => {
      const dimensions = Array.from({ length: size }, (_, place) => `d${place}`);
      const each = (amount: number): Record<string, number> =>
        Object.fromEntries(dimensions.map((name) => [name, amount]));
      const counter = new LocalCounterBackend<string>(["a", "b", "c"], { dimensions });
      for (const backend of ["a", "c"]) {
        counter.addAll(backend, each(7));
        counter.setLimits(backend, each(3));
      }
      counter.setLimits("b", each(10));
      for (let i = 0; i < 9; i++) expect(counter.tryAddAll("b", each(1))).toBe(true);
      counter.addAll("b", each(1));
      for (const name of dimensions) expect(counter.tryAddAll("b", { [name]: 1 })).toBe(false);
      expect(counter.tryAddAll("c", { d0: 1 })).toBe(false);
      expect(["a", "b", "c"].map((backend) => counter.totalAll(backend))).toEqual([each(7), each(10), each(7)]);
    },
  );

  it("stops looking at the clock once nobody holds it any more", async () => {
    if (globalThis.gc === undefined) throw new Error("run with --expose-gc");
    const clock = new ManualClock("2026-01-01");
    (() => new LocalCounterBackend(["oci"], { clock }))();
    expect(clock.pending).toBe(1);
    for (let i = 0; i < 50 && clock.pending > 0; i++) {
      await sleep(10);
      globalThis.gc();
      clock.advance(1_000);
    }
    expect(clock.pending).toBe(0);
  });
});
