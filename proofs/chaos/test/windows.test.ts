import { setTimeout as sleep } from "node:timers/promises";
import { utcDays, utcMinutes, utcMonths } from "@usage/counter-core";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Instance, MONTH_AND_DAY, WindowsFleet } from "./support/windows-fleet.ts";

const LIMITS = { month: { apiRequests: 1_000 }, day: { apiRequests: 100 } };
/** What was used of the month before. */
const BEFORE = 850;
const LEASE_MS = 3_000;
/** Shorter than a lease, also on a busy machine. */
const FAULT_MS = 600;
const SOON = { timeout: 90_000, interval: 50 };

type Window = "month" | "day";

/** What was admitted, by the key of the period, in each window. */
class Truth {
  readonly #used = new Map<string, number>();
  readonly #kept = new Map<string, number>();

  add(keys: readonly string[], amount: number): void {
    for (const key of keys) this.#used.set(key, this.used(key) + amount);
  }

  /** What somebody may use until it says what it used. */
  keep(keys: readonly string[], amount: number): void {
    for (const key of keys) this.#kept.set(key, (this.#kept.get(key) ?? 0) + amount);
  }

  used(key: string): number {
    return this.#used.get(key) ?? 0;
  }

  /** By what a limit is passed. */
  excess(): readonly string[] {
    return [...this.#used.keys()].filter((key) => {
      const limit = key.startsWith("day:") ? 100 : key === "2026-01" ? 1_000 - BEFORE : 1_000;
      return this.used(key) + (this.#kept.get(key) ?? 0) > limit;
    });
  }

  rows(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#used);
  }
}

/** What is used until it is over: single requests, and work that holds some and uses less, or more than half of it. */
async function use({ usage }: Instance<Window>, truth: Truth, isOver: () => boolean): Promise<void> {
  const works: Promise<void>[] = [];
  const keysNow = (): readonly string[] => usage.trackers().map(({ tracker }) => tracker.counter.period().key);
  for (let turn = 0; !isOver(); await sleep(15 + (turn++ % 20))) {
    // Where the clock is set on by a day, it was idle for long.
    await usage.ensure("acme")?.catch(() => {});
    if (!usage.trackers().every(({ tracker }) => tracker.counter.has("acme"))) continue;
    const keys = keysNow();
    if (usage.tryRecord("acme", { apiRequests: 1 })) truth.add(keys, 1);
    const hold = turn % 4 === 0 ? usage.tryReserve("acme", { apiRequests: 4 }) : undefined;
    if (hold !== undefined) works.push(work(hold, keys, truth, turn % 5));
  }
  await Promise.all(works);
}

async function work(
  hold: NonNullable<ReturnType<Instance<Window>["usage"]["tryReserve"]>>,
  keys: readonly string[],
  truth: Truth,
  used: number,
): Promise<void> {
  truth.keep(keys, 4);
  await sleep(40 * used);
  const isExtended = used === 4 && hold.extend({ apiRequests: 1 });
  const amount = Math.min(4, used) + (isExtended ? 1 : 0);
  hold.settle({ apiRequests: amount });
  truth.keep(keys, -4);
  truth.add(keys, amount);
}

describe("two instances with an exact limit for the day and one for the month", () => {
  it("pass neither, use both up, and store the rows of each, over midnight and the month's end, while all that they need fails", async () => {
    const fleet = await WindowsFleet.start("2026-01-30T23:59:20Z", onTestFinished);
    const options = { windows: MONTH_AND_DAY, defaults: LIMITS };
    const exact = { exact: ["month", "day"] as const, leaseMs: LEASE_MS };
    const first = await fleet.open<Window>(options, exact);
    await first.store.merge([
      { writer: "before", period: "2026-01", backend: "acme", usage: { apiRequests: BEFORE } },
      { writer: "before", period: "day:2026-01-30", backend: "acme", usage: {} },
    ]);
    await first.usage.refresh();
    const instances = [first, await fleet.open<Window>(options, exact)];
    const truth = new Truth();
    let isOver = false;
    const uses = Promise.all(instances.map((instance) => use(instance, truth, () => isOver)));
    const passed: string[] = [];
    const watch = (async () => {
      for (; !isOver; await sleep(5)) passed.push(...truth.excess());
    })();
    const faults = failing(fleet, instances);

    await faults(["wipes", "cuts"]);
    await expect.poll(() => truth.used("day:2026-01-30"), SOON).toBe(100);
    fleet.clock.set("2026-01-30T23:59:58Z");
    await faults(["freezes"]);
    await fleet.until("2026-01-31T00:00:01Z");
    await faults(["wipes", "cuts", "loses the database"]);
    // The month has 50 left for it.
    await expect.poll(() => truth.used("2026-01"), SOON).toBe(1_000 - BEFORE);
    await first.usage.ensure("acme");
    expect(first.usage.check("acme", { apiRequests: 1 })).toMatchObject({ window: "month", reason: "limit" });
    fleet.clock.set("2026-01-31T23:59:58Z");
    await faults(["loses the database", "freezes"]);
    await fleet.until("2026-02-01T00:00:01Z");
    await faults(["cuts", "wipes"]);
    await expect.poll(() => truth.used("day:2026-02-01"), SOON).toBe(100);

    isOver = true;
    await Promise.all([uses, watch]);
    expect(passed).toEqual([]);
    for (const { usage } of instances) await usage.close();
    const history = await first.store.history({});
    const rows = history
      .filter(({ backend }) => backend === "acme")
      .map(({ period, usage }) => [period, usage.apiRequests]);
    expect(Object.fromEntries(rows)).toEqual({ ...truth.rows(), "2026-01": BEFORE + truth.used("2026-01") });
    expect(truth.rows()).toEqual({
      "2026-01": 150,
      "2026-02": 100,
      "day:2026-01-30": 100,
      "day:2026-01-31": 50,
      "day:2026-02-01": 100,
    });
  });
});

/** Lets fail what is said, one after the other. */
function failing(fleet: WindowsFleet, [first, second]: readonly Instance<Window>[]) {
  const acts = {
    wipes: async () => void (await fleet.redis.command("FLUSHALL")),
    freezes: async () => {
      fleet.redis.pause();
      await sleep(FAULT_MS);
      fleet.redis.resume();
    },
    cuts: async () => {
      const { way } = Math.random() < 0.5 ? (first as Instance<Window>) : (second as Instance<Window>);
      await way.refuse();
      await sleep(FAULT_MS);
      await way.heal();
    },
    "loses the database": async () => {
      await fleet.database.refuse();
      await sleep(2 * FAULT_MS);
      await fleet.database.heal();
    },
  };
  return async (names: readonly (keyof typeof acts)[]): Promise<void> => {
    for (const name of names) {
      await acts[name]();
      await sleep(300 + 300 * Math.random());
    }
  };
}

describe("two instances with a limit for the minute", () => {
  it("share it by Redis, and store nothing of it", async () => {
    const fleet = await WindowsFleet.start("2026-01-30T12:00:00Z", onTestFinished);
    const windows = { day: utcDays, minute: utcMinutes, month: utcMonths };
    const options = { windows, defaults: { minute: { apiRequests: 10 }, day: { apiRequests: 25 } } };
    const [one, other] = [await fleet.open(options), await fleet.open(options)];
    const seen = ({ usage }: typeof one): number => usage.check("acme", {}).windows.minute.usage.apiRequests;
    const ofDay = ({ usage }: typeof one): number => usage.check("acme", {}).windows.day.usage.apiRequests;
    for (const [minute, left] of [10, 10, 5].entries()) {
      fleet.clock.set(`2026-01-30T12:0${minute}:10Z`);
      await expect.poll(() => seen(one) + seen(other), SOON).toBe(0);
      expect(one.usage.tryRecord("acme", { apiRequests: left - 1 })).toBe(true);
      // Each window is shared by itself.
      await expect.poll(() => [seen(other), ofDay(other)], SOON).toEqual([left - 1, 10 * minute + left - 1]);
      expect(other.usage.tryRecord("acme", { apiRequests: 2 })).toBe(false);
      expect(other.usage.tryRecord("acme", { apiRequests: 1 })).toBe(true);
      await expect.poll(() => seen(one), SOON).toBe(left);
      expect(one.usage.check("acme", { apiRequests: 1 })).toMatchObject({ window: left === 10 ? "minute" : "day" });
      // Whoever comes later knows of it.
      if (minute === 1) expect(seen(await fleet.open(options))).toBe(10);
      await Promise.all([one.usage.flush(), other.usage.flush()]);
    }
    const rows = (await one.store.history({})).map(({ period, usage }) => `${period} ${usage.apiRequests}`);
    expect(rows).toEqual(["2026-01-30 25", "month:2026-01 25"]);
  });
});
