import { describe, expect, it } from "vitest";
import { DrainConflictError, UnknownBackendError } from "../../model/errors.ts";
import type { Tally } from "../../model/usage.ts";
import { ownTally, storedUsage, type WithCounter, ZERO } from "./subject.ts";

const MAX = Number.MAX_SAFE_INTEGER;

/** What is on the flush path. */
export function talliesContract(name: string, withCounter: WithCounter): void {
  describe(`${name} keeps tallies`, () => {
    it("answers cumulative tallies until they are confirmed, and reading them changes nothing", () =>
      withCounter(async (counter) => {
        counter.addAll("oci", { apiRequests: 1, egressBytes: 10 });
        const first = await counter.tallies();
        expect(first).toEqual([ownTally(counter, "2026-01", { apiRequests: 1, egressBytes: 10 })]);
        expect(await counter.tallies()).toEqual(first);
        counter.add("oci", "apiRequests", 4);
        counter.confirm(first);
        expect(counter.load("oci", "apiRequests")).toBe(4);
        const second = await counter.tallies();
        expect(second).toEqual([ownTally(counter, "2026-01", { apiRequests: 5, egressBytes: 10 })]);
        counter.confirm(second);
        counter.confirm(first);
        expect(await counter.tallies()).toEqual([]);
        expect(counter.loadAll("oci")).toEqual(ZERO);
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, apiRequests: 5, egressBytes: 10 });
      }));

    it("ignores confirmed tallies of other writers, periods and backends", () =>
      withCounter(async (counter) => {
        counter.add("oci", "apiRequests", 5);
        const [tally] = await counter.tallies();
        counter.confirm([
          { ...(tally as Tally), writer: "somebody else" },
          { ...(tally as Tally), period: "2025-12" },
          { ...(tally as Tally), backend: "unheard of" },
        ]);
        expect(counter.load("oci", "apiRequests")).toBe(5);
      }));

    it("raises what others used by what the store knows, less its own part, and never lowers it", () =>
      withCounter((counter) => {
        counter.add("oci", "apiRequests", 3);
        counter.learn("2026-01", storedUsage("oci", 103, 3));
        expect(counter.totalAll("oci").apiRequests).toBe(103);
        counter.learn("2026-01", storedUsage("oci", 50, 0));
        expect(counter.totalAll("oci").apiRequests).toBe(103);
        counter.learn("2026-01", storedUsage("unheard of", 50, 0));
      }));

    it("does not count what it stored twice, when it learns of it before it knows that it was stored", () =>
      withCounter((counter) => {
        counter.add("oci", "apiRequests", 10);
        counter.learn("2026-01", storedUsage("oci", 7, 7));
        expect(counter.totalAll("oci").apiRequests).toBe(10);
      }));

    it("has another tally of what the store took and lost again, until that is confirmed, too", () =>
      withCounter(async (counter) => {
        counter.add("oci", "apiRequests", 10);
        counter.add("b2", "apiRequests", 1);
        const taken = await counter.tallies();
        counter.confirm(taken);
        counter.learn("2026-01", storedUsage("oci", 7, 7));
        expect(await counter.tallies()).toEqual(taken);
        expect(counter.totalAll("oci").apiRequests).toBe(10);
        counter.confirm(taken);
        expect(await counter.tallies()).toEqual([]);
      }));

    it("has a tally of all that it counted once the store has lost everything, closed periods included", () =>
      withCounter(async (counter, clock) => {
        counter.addAll("oci", { apiRequests: 10, egressBytes: 3 });
        counter.confirm(await counter.tallies());
        clock.set("2026-02-01T00:00:00Z");
        clock.advance(1_000);
        counter.add("b2", "apiRequests", 1);
        counter.confirm(await counter.tallies());
        counter.unconfirm();
        const lost = await counter.tallies();
        expect(lost).toEqual([
          ownTally(counter, "2026-01", { apiRequests: 10, egressBytes: 3 }),
          { ...ownTally(counter, "2026-02", { apiRequests: 1 }), backend: "b2" },
        ]);
        expect(counter.load("b2", "apiRequests")).toBe(1);
        expect(counter.totalAll("b2").apiRequests).toBe(1);
        counter.confirm(lost);
        expect(await counter.tallies()).toEqual([]);
      }));

    it("learns from the rows of all writers", () =>
      withCounter(async (counter) => {
        counter.add("oci", "apiRequests", 10);
        const row = (writer: string, apiRequests: number, period = "2026-01"): Tally => ({
          writer,
          period,
          backend: "oci",
          usage: { apiRequests },
        });
        await counter.absorb([row("a", 5), row("b", 6), row(counter.writer, 10), row("a", 1000, "2025-12")]);
        expect(counter.totalAll("oci").apiRequests).toBe(21);
      }));

    it("forgets a discarded backend and counts on under another writer's name", () =>
      withCounter(async (counter) => {
        counter.add("oci", "apiRequests", 10);
        counter.add("b2", "apiRequests", 1);
        const before = await counter.tallies();
        counter.discard("oci");
        counter.confirm(before);
        expect(counter.totalAll("oci")).toEqual(ZERO);
        counter.add("oci", "apiRequests", 2);
        expect(counter.load("oci", "apiRequests")).toBe(2);
        const [tally, ...more] = await counter.tallies();
        expect(more).toEqual([]);
        expect(tally).toMatchObject({ backend: "oci", usage: { apiRequests: 2 } });
        expect(tally?.writer).not.toBe(counter.writer);
        expect(tally?.writer.startsWith(`${counter.writer}.`)).toBe(true);
      }));

    it("asks for what is stored of a discarded backend, though nothing of it has changed, until it has got it", () =>
      withCounter(async (counter) => {
        const stored = { writer: counter.writer, period: "2026-01", backend: "oci", usage: { apiRequests: 10 } };
        counter.add("oci", "apiRequests", 10);
        counter.confirm(await counter.tallies());
        counter.discard("oci");
        expect(counter.learn("2026-01", new Map(), [])).toEqual(["oci"]);
        expect(counter.learn("2026-01", new Map(), [])).toEqual(["oci"]);
        counter.discard("oci"); // what is read by then is not all
        await counter.absorb([stored]);
        expect(counter.totalAll("oci").apiRequests).toBe(10);
        expect(counter.learn("2026-01", new Map(), [])).toEqual(["oci"]);
        await counter.absorb([stored]);
        expect(counter.learn("2026-01", new Map(), [])).toEqual([]);
        expect(counter.totalAll("oci").apiRequests).toBe(10);
      }));

    it("counts neither part twice when a discarded backend was stored before and after", () =>
      withCounter(async (counter) => {
        counter.add("oci", "apiRequests", 10);
        const first = await counter.tallies();
        counter.confirm(first);
        counter.discard("oci");
        counter.add("oci", "apiRequests", 2);
        const second = await counter.tallies();
        expect(second).toMatchObject([{ backend: "oci", usage: { apiRequests: 2 } }]);
        counter.confirm(second);
        expect(counter.load("oci", "apiRequests")).toBe(0);
        const wanted = counter.learn("2026-01", storedUsage("oci", 12, 10));
        await counter.absorb([...first, ...second].filter(({ backend }) => wanted.includes(backend)));
        expect(counter.totalAll("oci").apiRequests).toBe(12);
      }));

    it("has one way out: swap or tallies, never both", () =>
      withCounter(async (counter) => {
        counter.add("oci", "apiRequests", 1);
        await counter.tallies();
        await expect((async () => counter.swap("oci", "apiRequests"))()).rejects.toThrow(DrainConflictError);
        expect(counter.load("oci", "apiRequests")).toBe(1);
      }));

    it("keeps its way out open when it is asked for what it does not have", () =>
      withCounter(async (counter) => {
        await expect((async () => counter.swap("gone", "apiRequests"))()).rejects.toThrow(UnknownBackendError);
        expect(await counter.tallies()).toEqual([]);
      }));

    it("is not told more than it counted, and keeps totals within 2^53-1, whatever the store says", () =>
      withCounter((counter) => {
        counter.add("oci", "apiRequests", 5);
        counter.confirm([ownTally(counter, "2026-01", { apiRequests: 9 })]);
        counter.add("oci", "apiRequests", 1);
        expect(counter.load("oci", "apiRequests")).toBe(1);
        counter.learn("2026-01", storedUsage("oci", MAX, 0));
        expect(counter.totalAll("oci").apiRequests).toBe(MAX);
      }));

    it("swaps a count out once, which its total keeps until a baseline says what is used, and then refuses tallies", () =>
      withCounter(async (counter) => {
        counter.addAll("oci", { apiRequests: 4, egressBytes: 9 });
        expect(await counter.swap("oci", "apiRequests")).toBe(4);
        expect(await counter.swap("oci", "apiRequests")).toBe(0);
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, apiRequests: 4, egressBytes: 9 });
        expect(counter.loadAll("oci")).toEqual({ ...ZERO, egressBytes: 9 });
        counter.add("oci", "apiRequests", 1);
        counter.setBaseline("oci", { ...ZERO, apiRequests: 104 });
        expect(counter.totalAll("oci")).toEqual({ ...ZERO, apiRequests: 105, egressBytes: 9 });
        expect(await counter.swap("oci", "apiRequests")).toBe(1);
        expect(counter.totalAll("oci").apiRequests).toBe(105);
        await expect(counter.tallies()).rejects.toThrow(DrainConflictError);
      }));
  });
}
