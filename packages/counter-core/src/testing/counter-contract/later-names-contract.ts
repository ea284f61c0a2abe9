import { describe, expect, it } from "vitest";
import type { CounterBackend } from "../../counter-backend.ts";
import type { StoredUsage, Tally } from "../../usage.ts";
import { storedUsage, type WithCounter, ZERO } from "./subject.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** What becomes of what is known of backends that are not there yet. */
export function laterNamesContract(
  name: string,
  withCounter: WithCounter,
  addBackends: (counter: CounterBackend, names: readonly string[]) => void,
): void {
  describe(`${name} adds backends`, () => {
    const row = (writer: string, apiRequests: number, period = "2026-01"): Tally => ({
      writer,
      period,
      backend: "acme",
      usage: { apiRequests },
    });

    it("that begin at zero, and leave the others as they are", () =>
      withCounter((counter) => {
        counter.add("oci", "apiRequests", 5);
        addBackends(counter, ["acme", "oci", "acme"]);
        expect(counter.backends()).toEqual(["oci", "b2", "acme"]);
        expect(counter.totalAll("acme")).toEqual(ZERO);
        expect(counter.totalAll("oci").apiRequests).toBe(5);
      }));

    it("that begin with what the store held of them when it was last read, which is stored", () =>
      withCounter(async (counter) => {
        const all = { apiRequests: 100, egressBytes: 7, ingressBytes: 0 };
        const stored = new Map<string, StoredUsage>([
          ["acme", { all, own: ZERO }],
          ["oci", { all: { ...ZERO, apiRequests: 3 }, own: ZERO }],
        ]);
        counter.observe("2026-01", stored);
        addBackends(counter, ["acme", "unheard of"]);
        expect(counter.totalAll("acme")).toEqual(all);
        expect(counter.loadAll("acme")).toEqual(ZERO);
        expect(counter.totalAll("unheard of")).toEqual(ZERO);
        expect(counter.totalAll("oci").apiRequests).toBe(3);
        counter.add("acme", "apiRequests", 2);
        expect(counter.totalAll("acme").apiRequests).toBe(102);
        expect(await counter.tallies()).toEqual([
          { writer: counter.writer, period: "2026-01", backend: "acme", usage: { apiRequests: 2 } },
        ]);
      }));

    it("into a counter that began without any", () =>
      withCounter((counter) => {
        counter.observe("2026-01", storedUsage("acme", 100, 0));
        addBackends(counter, ["acme"]);
        expect(counter.totalAll("acme").apiRequests).toBe(100);
      }, []));

    it("that begin with the most that was ever read of them, not with the last or the sum of it", () =>
      withCounter((counter) => {
        for (const amount of [70, 100, 50]) counter.observe("2026-01", storedUsage("acme", amount, 0));
        counter.observe("2026-01", new Map());
        addBackends(counter, ["acme"]);
        expect(counter.totalAll("acme").apiRequests).toBe(100);
        counter.observe("2026-01", storedUsage("acme", 101, 0));
        expect(counter.totalAll("acme").apiRequests).toBe(101);
      }));

    it("that begin with the rows of all writers, where those were read", () =>
      withCounter(async (counter) => {
        await counter.absorb([row("a", 5), row("b", 6), row(counter.writer, 10), row("a", 1_000, "2025-12")]);
        await counter.absorb([row("a", 5)]);
        addBackends(counter, ["acme"]);
        expect(counter.totalAll("acme").apiRequests).toBe(11);
      }));

    it("that begin at zero in a month that has begun since", () =>
      withCounter(async (counter, clock) => {
        clock.set("2026-01-31T23:59:59.500Z");
        clock.advance(1);
        counter.observe("2026-01", storedUsage("acme", 100, 0));
        await counter.absorb([row("a", 120)]);
        clock.advance(1_000);
        addBackends(counter, ["acme"]);
        expect(counter.totalAll("acme")).toEqual(ZERO);
        // What was read before midnight may also arrive after it.
        counter.observe("2026-01", storedUsage("late", 100, 0));
        await counter.absorb([{ ...row("a", 120), backend: "late" }]);
        addBackends(counter, ["late"]);
        expect(counter.totalAll("late")).toEqual(ZERO);
        counter.observe("2026-02", storedUsage("new", 9, 0));
        addBackends(counter, ["new"]);
        expect(counter.totalAll("new").apiRequests).toBe(9);
      }));

    it("that begin with it once, however often they are added or discarded", () =>
      withCounter((counter) => {
        counter.observe("2026-01", storedUsage("acme", 100, 0));
        addBackends(counter, ["acme"]);
        counter.add("acme", "apiRequests", 5);
        addBackends(counter, ["acme"]);
        expect(counter.totalAll("acme").apiRequests).toBe(105);
        counter.discard("acme");
        counter.add("acme", "apiRequests", 1);
        addBackends(counter, ["acme"]);
        expect(counter.totalAll("acme").apiRequests).toBe(101);
      }));

    it("whose totals stay within 2^53-1, whatever the store says", () =>
      withCounter((counter) => {
        counter.observe("2026-01", storedUsage("acme", 2 * MAX, 0));
        addBackends(counter, ["acme"]);
        expect(counter.totalAll("acme").apiRequests).toBe(MAX);
      }));
  });
}
