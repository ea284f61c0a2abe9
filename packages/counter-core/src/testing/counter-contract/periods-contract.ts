import { describe, expect, it } from "vitest";
import { ownTally, storedUsage, type WithCounter, ZERO } from "./subject.ts";

/** What becomes of counts when a period ends, and when the clock is set. */
export function periodsContract(name: string, withCounter: WithCounter): void {
  describe(`${name} changes periods`, () => {
    it("begins at zero at midnight, and keeps what was counted before it in its own month", () =>
      withCounter(async (counter, clock) => {
        clock.set("2026-01-31T23:59:59.500Z");
        clock.advance(1);
        counter.setBaseline("oci", { ...ZERO, apiRequests: 100 });
        counter.add("oci", "apiRequests", 1);
        clock.advance(1_000);
        expect(counter.period()).toMatchObject({ key: "2026-02", start: Date.UTC(2026, 1), end: Date.UTC(2026, 2) });
        expect(counter.totalAll("oci")).toEqual(ZERO);
        counter.add("oci", "apiRequests", 2);
        const tallies = await counter.tallies();
        expect(tallies).toHaveLength(2);
        expect(tallies).toContainEqual(ownTally(counter, "2026-01", { apiRequests: 1 }));
        expect(tallies).toContainEqual(ownTally(counter, "2026-02", { apiRequests: 2 }));
        expect(counter.load("oci", "apiRequests")).toBe(2);
      }));

    it("turns right at the boundary, not at the next tick of a timer", () =>
      withCounter((counter, clock) => {
        clock.set("2026-01-31T23:59:57.300Z");
        clock.advance(2_000);
        expect(clock.now()).toBe(Date.parse("2026-01-31T23:59:59.300Z"));
        clock.advance(699);
        expect(counter.period().key).toBe("2026-01");
        clock.advance(1);
        expect(counter.period().key).toBe("2026-02");
      }));

    it("ignores a baseline that was read before midnight and arrives after it", () =>
      withCounter(async (counter, clock) => {
        clock.set("2026-01-31T23:59:59.500Z");
        clock.advance(1_000);
        counter.learn("2026-01", storedUsage("oci", 100, 0));
        await counter.absorb([{ writer: "a", period: "2026-01", backend: "oci", usage: { apiRequests: 100 } }]);
        expect(counter.totalAll("oci")).toEqual(ZERO);
      }));

    it("is right at once where a clock call costs nothing: when it is flushed, told of the store, or read out", () =>
      withCounter(async (counter, clock) => {
        counter.add("oci", "apiRequests", 1);
        clock.set("2026-02-15T00:00:00Z");
        counter.learn("2026-01", storedUsage("oci", 100, 0));
        expect(counter.totalAll("oci")).toEqual(ZERO);
        counter.add("oci", "apiRequests", 2);
        clock.set("2026-03-15T00:00:00Z");
        expect(await counter.tallies()).toHaveLength(2);
        expect(counter.period().key).toBe("2026-03");
      }));

    it("swaps out what was counted before midnight, too", () =>
      withCounter(async (counter, clock) => {
        counter.add("oci", "apiRequests", 1);
        clock.set("2026-02-15T00:00:00Z");
        clock.advance(1_000);
        counter.add("oci", "apiRequests", 2);
        expect(await counter.swap("oci", "apiRequests")).toBe(3);
        expect(await counter.swap("oci", "apiRequests")).toBe(0);
      }));

    it("is right within a second after it was suspended over midnight", () =>
      withCounter((counter, clock) => {
        counter.add("oci", "apiRequests", 1);
        clock.set("2026-03-05T08:00:00Z");
        clock.advance(1_000);
        expect(counter.period().key).toBe("2026-03");
        expect(counter.totalAll("oci")).toEqual(ZERO);
      }));

    it("counts on where it was when the clock steps back over midnight and forward again", () =>
      withCounter(async (counter, clock) => {
        clock.set("2026-01-31T23:59:59Z");
        counter.add("oci", "apiRequests", 1);
        clock.advance(2_000);
        counter.add("oci", "apiRequests", 10);
        clock.set("2026-01-31T23:59:30Z");
        clock.advance(1_000);
        expect(counter.totalAll("oci").apiRequests).toBe(1);
        counter.add("oci", "apiRequests", 2);
        clock.set("2026-02-01T00:00:30Z");
        clock.advance(1_000);
        expect(counter.totalAll("oci").apiRequests).toBe(10);
        const tallies = await counter.tallies();
        expect(tallies).toContainEqual(ownTally(counter, "2026-01", { apiRequests: 3 }));
        expect(tallies).toContainEqual(ownTally(counter, "2026-02", { apiRequests: 10 }));
      }));

    it("asks again for what others used in a month that it had let go of when the clock steps back into it", () =>
      withCounter(async (counter, clock) => {
        const rows = [{ writer: "a", period: "2026-01", backend: "oci", usage: { apiRequests: 100 } }];
        clock.set("2026-01-15T00:00:00Z");
        clock.advance(1_000);
        counter.learn("2026-01", storedUsage("oci", 100, 0));
        await counter.absorb(rows);
        clock.set("2026-03-01T00:00:00Z");
        clock.advance(1_000);
        clock.set("2026-01-15T00:00:00Z");
        clock.advance(1_000);
        // Nothing has changed since: whoever reads what did has nothing to tell.
        expect(counter.learn("2026-01", new Map(), [])).toContain("oci");
        await counter.absorb(rows);
        expect(counter.totalAll("oci").apiRequests).toBe(100);
        expect(counter.learn("2026-01", new Map(), [])).toEqual([]);
      }));

    it("keeps what is not confirmed for as many periods as it takes", () =>
      withCounter(async (counter, clock) => {
        for (const month of ["2026-01", "2026-02", "2026-03", "2026-04", "2026-05"]) {
          clock.set(`${month}-15T00:00:00Z`);
          clock.advance(1_000);
          counter.add("oci", "apiRequests", 1);
        }
        const tallies = await counter.tallies();
        expect(tallies.map(({ period }) => period).sort()).toEqual([
          "2026-01",
          "2026-02",
          "2026-03",
          "2026-04",
          "2026-05",
        ]);
        counter.confirm(tallies);
        expect(await counter.tallies()).toEqual([]);
      }));

    it("counts under another writer's name in a period that it had let go of", () =>
      withCounter(async (counter, clock) => {
        counter.add("oci", "apiRequests", 5);
        counter.confirm(await counter.tallies());
        clock.set("2026-04-15T00:00:00Z");
        clock.advance(2_000);
        clock.set("2026-01-20T00:00:00Z");
        clock.advance(1_000);
        counter.add("oci", "apiRequests", 3);
        const tallies = await counter.tallies();
        expect(tallies).toHaveLength(1);
        const [tally] = tallies;
        // Either the old cells are still there and go on, or new ones must not hide behind the stored 5.
        if (tally?.writer === counter.writer) expect(tally.usage.apiRequests).toBe(8);
        else expect(tally?.usage.apiRequests).toBe(3);
      }));

    it(
      "runs for 60 days",
      () =>
        withCounter(async (counter, clock) => {
          for (let day = 0; day < 60; day++) {
            counter.add("oci", "apiRequests", 1);
            clock.advance(86_400_000);
          }
          const tallies = await counter.tallies();
          const byPeriod = Object.fromEntries(tallies.map(({ period, usage }) => [period, usage.apiRequests]));
          expect(byPeriod).toEqual({ "2026-01": 17, "2026-02": 28, "2026-03": 15 });
        }),
      60_000,
    );
  });
}
