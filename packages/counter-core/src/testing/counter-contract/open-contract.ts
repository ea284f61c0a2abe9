import { describe, expect, it, vi } from "vitest";
import type { CounterBackend } from "../../counter.ts";
import { NameError, UnknownBackendError } from "../../model/errors.ts";
import type { Tally, Usage } from "../../model/usage.ts";
import type { ManualClock } from "../manual-clock.ts";
import { type WithCounter, ZERO } from "./subject.ts";

const row = (writer: string, backend: string, apiRequests: number): Tally => ({
  writer,
  period: "2026-01",
  backend,
  usage: { apiRequests },
});

/** A counter that shares its counts lets go of nothing that it has not shared. */
async function untilReleased(counter: CounterBackend, clock: ManualClock): Promise<void> {
  await vi.waitFor(() => {
    clock.advance(100);
    expect(counter.release("acme")).toBe(true);
  }, 10_000);
}

/** How backends come that nobody named at the start, how they go, and how they come back. */
export function openContract(name: string, withCounter: WithCounter): void {
  describe(`${name} is open`, () => {
    it("holds a backend from `ensure` on, with what the store knows of it", () =>
      withCounter(async (counter) => {
        expect(counter.has("acme")).toBe(false);
        await counter.ensure(["acme"], async () => [row("a", "acme", 5), row("b", "acme", 6)]);
        expect(counter.has("acme")).toBe(true);
        expect(counter.totalAll("acme")).toEqual({ ...ZERO, apiRequests: 11 });
        expect(counter.loadAll("acme")).toEqual(ZERO);
        counter.add("acme", "apiRequests", 1);
        expect(counter.totalAll("acme").apiRequests).toBe(12);
        expect(counter.backends()).toEqual(["oci", "b2", "acme"]);
        const tallies = await counter.tallies();
        expect(tallies).toEqual([row(counter.writer, "acme", 1)]);
      }));

    it("limits what it holds from its first instant on, with what was granted for the period", () =>
      withCounter(async (counter) => {
        const asked: unknown[] = [];
        const limitsOf = () => ({ apiRequests: 10 });
        const creditOf = (...about: unknown[]): Partial<Usage> | undefined => {
          asked.push(about);
          return about[1] === "acme" ? { apiRequests: 5 } : undefined;
        };
        await counter.ensure(["acme", "umbrella"], async () => [row("a", "acme", 9)], { limitsOf, creditOf });
        expect(asked).toEqual([
          ["2026-01", "acme"],
          ["2026-01", "umbrella"],
        ]);
        expect([counter.limitsOf("acme"), counter.limitsOf("umbrella")]).toEqual([
          { apiRequests: 15 },
          { apiRequests: 10 },
        ]);
      }));

    it("asks for many at once, once, and for nothing where all are held", () =>
      withCounter(async (counter) => {
        const read = vi.fn(async () => [row("a", "acme", 5)]);
        await counter.ensure(["acme", "oci", "umbrella", "acme"], read);
        expect(read.mock.calls).toEqual([["2026-01", ["acme", "umbrella"]]]);
        await counter.ensure(["umbrella", "acme"], read);
        expect(read).toHaveBeenCalledTimes(1);
        expect([counter.totalAll("acme").apiRequests, counter.totalAll("umbrella").apiRequests]).toEqual([5, 0]);
      }));

    it("lets go of what is stored, and goes on with it where it was, under the same writer", () =>
      withCounter(async (counter, clock) => {
        await counter.ensure(["acme"], async () => [row("a", "acme", 5)]);
        counter.addAll("acme", { apiRequests: 3, egressBytes: 9 });
        expect(counter.release("acme")).toBe(false);
        const tallies = await counter.tallies();
        counter.confirm(tallies);
        await untilReleased(counter, clock);
        expect(counter.has("acme")).toBe(false);
        expect(() => counter.add("acme", "apiRequests", 1)).toThrow(UnknownBackendError);
        await counter.ensure(["acme"], async () => [row("a", "acme", 7), ...tallies]);
        expect(counter.totalAll("acme")).toEqual({ ...ZERO, apiRequests: 10, egressBytes: 9 });
        expect(await counter.tallies()).toEqual([]);
        counter.add("acme", "apiRequests", 1);
        expect(await counter.tallies()).toEqual([
          { ...row(counter.writer, "acme", 4), usage: { apiRequests: 4, egressBytes: 9 } },
        ]);
      }));

    it("gives what it let go of to nobody else: neither counts nor limits nor credit", () =>
      withCounter(async (counter, clock) => {
        await counter.ensure(["acme"], async () => []);
        counter.add("acme", "apiRequests", 3);
        counter.setLimits("acme", { apiRequests: 3 });
        counter.setCredit("2026-01", "acme", { apiRequests: 100 });
        counter.confirm(await counter.tallies());
        await untilReleased(counter, clock);
        await counter.ensure(["umbrella"], async () => []);
        expect(counter.totalAll("umbrella")).toEqual(ZERO);
        expect(counter.loadAll("umbrella")).toEqual(ZERO);
        expect(counter.limitsOf("umbrella")).toEqual({});
        expect(counter.tryAddAll("umbrella", { apiRequests: 5 })).toBe(true);
        counter.setLimits("umbrella", { apiRequests: 5 });
        expect([counter.limitsOf("umbrella"), counter.creditAll("umbrella")]).toEqual([{ apiRequests: 5 }, ZERO]);
        expect(await counter.tallies()).toEqual([row(counter.writer, "umbrella", 5)]);
      }));

    it("counts on, exactly, with a tally that the store had lost and that somebody brought back", () =>
      withCounter(async (counter) => {
        await counter.ensure(["acme"], async () => [row(counter.writer, "acme", 10)]);
        counter.add("acme", "apiRequests", 2);
        const own = { all: { ...ZERO, apiRequests: 14 }, own: { ...ZERO, apiRequests: 14 } };
        counter.learn("2026-01", new Map([["acme", own]]), ["acme"]);
        expect(counter.totalAll("acme").apiRequests).toBe(16);
        expect(await counter.tallies()).toEqual([row(counter.writer, "acme", 16)]);
      }));

    it("admits, if told to, while the store cannot be read, under another writer's name", () =>
      withCounter(async (counter) => {
        const away = async (): Promise<never> => {
          throw new Error("the database is away");
        };
        await counter.ensure(["acme"], away, { whenUnknown: "admit" });
        counter.add("acme", "apiRequests", 2);
        const [tally] = await counter.tallies();
        expect(tally?.writer.startsWith(`${counter.writer}.`)).toBe(true);
        const wanted = counter.learn("2026-01", new Map([["acme", { all: { ...ZERO, apiRequests: 9 }, own: ZERO }]]));
        expect(wanted).toEqual(["acme"]);
        await counter.absorb([row(counter.writer, "acme", 5), row("a", "acme", 4)]);
        expect(counter.totalAll("acme").apiRequests).toBe(11);
      }));

    it("asks again where the month changes meanwhile", () =>
      withCounter(async (counter, clock) => {
        const asked: string[] = [];
        await counter.ensure(["acme"], async (period) => {
          asked.push(period);
          if (asked.length === 1) {
            clock.set("2026-02-01T00:00:01Z");
            clock.advance(1_000);
          }
          return [{ ...row("a", "acme", asked.length), period }];
        });
        expect(asked).toEqual(["2026-01", "2026-02"]);
        expect(counter.totalAll("acme").apiRequests).toBe(2);
      }));

    it("refuses names that are none, and holds nothing of that call", () =>
      withCounter(async (counter) => {
        const read = vi.fn(async () => []);
        await expect(counter.ensure(["acme", ""], read)).rejects.toThrow(NameError);
        await expect(counter.ensure("acme", read)).rejects.toThrow(TypeError);
        expect(read).not.toHaveBeenCalled();
        expect(counter.has("acme")).toBe(false);
        expect(counter.release("acme")).toBe(true);
      }));

    it("learns of some backends alone, and leaves the others as they are", () =>
      withCounter(async (counter) => {
        counter.add("oci", "apiRequests", 3);
        counter.add("b2", "apiRequests", 4);
        counter.confirm(await counter.tallies());
        counter.learn("2026-01", new Map(), ["b2"]);
        expect((await counter.tallies()).map(({ backend }) => backend)).toEqual(["b2"]);
      }));
  });
}
