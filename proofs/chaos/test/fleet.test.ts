import { setTimeout as sleep } from "node:timers/promises";
import { startPostgres, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { Book } from "../src/fleet/book.ts";
import { ownTenants } from "../src/fleet/hot-names.ts";
import type { FleetMember, View } from "../src/fleet/member.ts";
import { fleetOn, type Servers } from "./support/fleet-on.ts";

/** Of what waits for an exchange, a reconnect or a flush; far more than any of them takes. */
const SOON = { timeout: 20_000, interval: 20 };
const ENDED_WELL = { code: 0, signal: null };

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

/** What an instance sees, as a book. */
function viewOf({ period, view }: View): Book {
  const book = new Book();
  for (const [backend, usage] of Object.entries(view)) book.add(period, backend, usage);
  return book;
}

/** Resolves when one more of its flushes went well, or failed. */
async function goesOn(member: FleetMember, kind: "good" | "failed"): Promise<void> {
  const before = (await member.flushes())[kind];
  await vi.waitFor(async () => expect((await member.flushes())[kind]).toBeGreaterThan(before), SOON);
}

describe("an instance that is killed under load", () => {
  it("has all that it had shared stored by another one, at its second flush, and nothing that it had not recorded", async () => {
    const fleet = fleetOn(servers);
    const survivor = await fleet.start();
    const victims: Book[] = [];
    for (let round = 0; round < 5; round++) {
      // Every other one lives to store nothing itself.
      const victim = await fleet.start({ reports: true, ...(round % 2 === 1 && { flushIntervalMs: 60 }) });
      await Promise.all([victim.load(), survivor.load()]);
      await sleep(300 + 200 * Math.random());
      await victim.kill();
      const { planned } = victim.record;
      const pushed = victim.record.pushed();
      await survivor.rest();
      const storedOfVictim = async () => (await fleet.storedBy()).get(victim.writer) ?? new Book();
      const before = await storedOfVictim();
      expect(before.isAtMost(planned)).toBe(true);
      expect(pushed.entries()).not.toEqual([]);
      if (round % 2 === 0) expect(before.entries()).toEqual([]);

      // What it does not see yet, it cannot miss.
      await vi.waitFor(async () => expect(pushed.isAtMost(viewOf(await survivor.totals()))).toBe(true), SOON);
      expect([await survivor.flush(), await survivor.flush()]).toEqual([true, true]);
      const stored = await storedOfVictim();
      expect([pushed.isAtMost(stored), stored.isAtMost(planned)]).toEqual([true, true]);
      victims.push(stored);
    }
    const recorded = await survivor.stop();
    expect((await fleet.stored()).entries()).toEqual(Book.sumOf([recorded, ...victims]).entries());
    expect(await survivor.instance.exited).toEqual(ENDED_WELL);
    expect(survivor.instance.output()).toBe("");
  });
});

describe("an instance that was stopped for a while under load", () => {
  it("changes nothing for the worse when it wakes: no count is lost, doubled or lowered", async () => {
    const fleet = fleetOn(servers);
    const [sleeper, other] = [await fleet.start({ flushIntervalMs: 50 }), await fleet.start({ flushIntervalMs: 50 })];
    await Promise.all([sleeper.load(), other.load()]);
    await sleep(400);
    sleeper.instance.pause();
    // Longer than its sockets to Redis may be silent.
    await sleep(1_500);
    const othersBook = await other.rest();
    await other.flush();
    const [seen, stored] = [viewOf(await other.totals()), await fleet.stored()];

    sleeper.instance.resume();
    await sleep(500);
    const recorded = Book.sumOf([await sleeper.rest(), othersBook]);
    expect([seen.isAtMost(recorded), stored.isAtMost(recorded)]).toEqual([true, true]);
    for (const member of [sleeper, other]) {
      await vi.waitFor(async () => expect(viewOf(await member.totals()).entries()).toEqual(recorded.entries()), SOON);
    }
    for (const member of [sleeper, other]) {
      await member.stop();
      expect(await member.instance.exited).toEqual(ENDED_WELL);
    }
    expect((await fleet.stored()).entries()).toEqual(recorded.entries());
    expect(stored.isAtMost(await fleet.stored())).toBe(true);
  });
});

describe("instances that flush all at once to a Postgres that is killed again and again", () => {
  it("store exact totals in the end, and none of them ends or complains", { timeout: 120_000 }, async () => {
    // Of its own: whatever becomes of it, the other tests have theirs.
    const postgres = await startPostgres();
    onTestFinished(() => postgres.stop());
    const fleet = fleetOn({ ...servers, postgres }, 300);
    const members = await Promise.all([fleet.start(), fleet.start(), fleet.start()]);
    await Promise.all(members.map((member) => member.load({ flushing: true })));
    const allGoOn = (kind: "good" | "failed"): Promise<unknown> => Promise.all(members.map((one) => goesOn(one, kind)));
    for (let round = 0; round < 6; round++) {
      await allGoOn("good");
      // In the midst of one.
      await sleep(100 * Math.random());
      await postgres.kill();
      await allGoOn("failed");
      await postgres.start();
    }
    const recorded = Book.sumOf(await Promise.all(members.map((member) => member.rest())));
    for (const member of members) await vi.waitFor(async () => expect(await member.flush()).toBe(true), SOON);
    expect((await fleet.stored()).entries()).toEqual(recorded.entries());
    // All at once: the driver may wait for a connection that died.
    await Promise.all(members.map((member) => member.stop()));
    for (const member of members) {
      expect([await member.instance.exited, member.instance.output()]).toEqual([ENDED_WELL, ""]);
    }
  });
});

describe("instances whose clocks differ by 2 s when a month ends", () => {
  it("count each use in one month, that of their own clock, and lose none", async () => {
    const fleet = fleetOn(servers);
    const beganMs = Date.now();
    const untilMidnightMs = Date.UTC(2027, 0, 1) - beganMs;
    const starts = [9_000, 11_000].map((inMs) =>
      fleet.start({ clockOffsetMs: untilMidnightMs - inMs, flushIntervalMs: 200 }),
    );
    const [ahead, behind] = await Promise.all(starts);
    if (ahead === undefined || behind === undefined) throw new Error("no instances");
    await Promise.all([ahead.load(), behind.load()]);
    await sleep(beganMs + 12_500 - Date.now());
    const recorded = await Promise.all([ahead.rest(), behind.rest()]);
    for (const book of recorded)
      expect(new Set(book.entries().map(([period]) => period))).toEqual(new Set(["2026-12", "2027-01"]));
    const january = Book.of(
      Book.sumOf(recorded)
        .entries()
        .filter(([period]) => period === "2027-01"),
    );
    for (const [i, member] of [ahead, behind].entries()) {
      await vi.waitFor(async () => {
        const view = await member.totals();
        expect([view.period, viewOf(view).entries()]).toEqual(["2027-01", january.entries()]);
      }, SOON);
      await member.stop();
      expect([await member.instance.exited, member.instance.output()]).toEqual([ENDED_WELL, ""]);
      expect((await fleet.storedBy()).get(member.writer)?.entries()).toEqual(recorded[i]?.entries());
    }
    expect((await fleet.stored()).entries()).toEqual(Book.sumOf(recorded).entries());
  });
});

describe("an instance that is killed with tenants that nobody else ever held", () => {
  it("has all that it had shared of them stored by whoever is left, who then sees it, too", async () => {
    const fleet = fleetOn(servers);
    const survivor = await fleet.start();
    const victims: Book[] = [];
    for (let round = 0; round < 2; round++) {
      // It lives to store nothing itself.
      const victim = await fleet.start({ reports: true, tenants: 2 });
      await victim.load();
      await sleep(2_500);
      await victim.kill();
      const { planned, inherited } = victim.record;
      const pushed = victim.record.pushed();
      const names = new Set(pushed.entries().map(([, backend]) => backend));
      const own = [...names].filter((name) => name.startsWith(ownTenants(fleet.prefix, victim.writer)));
      expect([own.length > 0, inherited.entries()]).toEqual([true, []]);
      expect(Object.keys((await survivor.totals()).view).sort()).toEqual(fleet.backends);

      // The first one finds out who stands still.
      expect([await survivor.flush(), await survivor.flush()]).toEqual([true, true]);
      const stored = (await fleet.storedBy()).get(victim.writer) ?? new Book();
      expect([pushed.isAtMost(stored), stored.isAtMost(planned)]).toEqual([true, true]);
      victims.push(stored);

      const another = await fleet.start();
      const seen = viewOf(await another.totals([...names]));
      expect(Book.of(stored.entries()).isAtMost(seen)).toBe(true);
      await another.stop();
    }
    await survivor.stop();
    expect((await fleet.stored()).entries()).toEqual(Book.sumOf(victims).entries());
  });
});
