import { LocalCounterBackend, memoryStore, type UsageStore } from "@usage/counter-core";
import { GrantConflictError, UsageTracker } from "@usage/tracker";
import { toHeaders, toProblem } from "@usage/tracker/http";
import { describe, expect, it, vi } from "vitest";
import { tracked } from "../support/tracked.ts";

const LIMITS = { oci: { apiRequests: 10 } };
const FIVE = { apiRequests: 5 };
const OURS = { id: "ticket-4711", reason: "an outage of ours" };

/** A store in memory of which single calls of `grant` and `grants` fail, once it is told how. */
function failing() {
  const store = memoryStore();
  const how: { grant?: () => Promise<void>; grants?: () => Promise<void>; after?: () => Promise<void> } = {};
  const asked = vi.fn();
  const wrapped: UsageStore = {
    ...store,
    async grant(grant) {
      await how.grant?.();
      const receipt = await store.grant?.(grant);
      await how.after?.();
      if (receipt === undefined) throw new Error("the store keeps no grants");
      return receipt;
    },
    async grants(query) {
      asked(query);
      const found = (await store.grants?.(query)) ?? [];
      await how.grants?.();
      return found;
    },
  };
  return { store: wrapped, how, asked };
}

const away = async (): Promise<never> => {
  throw new Error("the database is away");
};

describe("a grant", () => {
  it("is part of the limit of its period at once, in decisions, headers and what waits, and is told apart", async () => {
    const { tracker } = tracked({ limits: { oci: { apiRequests: 10, egressBytes: 100 } } });
    expect(tracker.tryRecord("oci", { apiRequests: 10 })).toBe(true);
    const refused = tracker.check("oci", { apiRequests: 1 });
    expect([refused.allowed, refused.granted]).toEqual([false, undefined]);
    expect(await tracker.grant("oci", FIVE, OURS)).toBe(true);
    const decision = tracker.check("oci", { apiRequests: 5 });
    expect(decision).toMatchObject({
      allowed: true,
      limits: { apiRequests: 15, egressBytes: 100 },
      granted: { apiRequests: 5 },
      remaining: { apiRequests: 5, egressBytes: 100 },
    });
    expect(toHeaders(decision)["RateLimit-Policy"]).toMatch(/"apiRequests";q=15;/);
    expect(tracker.limitsOf("oci")).toEqual({ apiRequests: 15, egressBytes: 100 });
    expect(tracker.nearLimit(0.8)).toBe(false);
    expect([tracker.tryRecord("oci", { apiRequests: 6 }), tracker.tryRecord("oci", FIVE)]).toEqual([false, true]);
    expect(tracker.tryRecord("oci", { apiRequests: 1 })).toBe(false);
  });

  it("lets who waits for room go on", async () => {
    const { tracker } = tracked({ limits: LIMITS });
    tracker.tryReserve("oci", { apiRequests: 10 });
    const waiting = tracker.reserve("oci", FIVE, { waitMs: 60_000 });
    await tracker.grant("oci", FIVE, OURS);
    expect(await waiting).toBeDefined();
  });

  it("is given once under its id, however often, and refused where the id is that of other amounts", async () => {
    const { tracker, store } = tracked({ limits: LIMITS });
    expect(await tracker.grant("oci", FIVE, { ...OURS, by: "ada" })).toBe(true);
    expect(await tracker.grant("oci", FIVE, { ...OURS, reason: "the same in other words" })).toBe(false);
    const other = tracker.grant("oci", { apiRequests: 6 }, OURS);
    await expect(other).rejects.toThrow(GrantConflictError);
    await expect(other).rejects.toThrow(/"ticket-4711" of "oci" in 2026-01 is of \{"apiRequests":5\} since 2/);
    await expect(tracker.grant("oci", { ...FIVE, egressBytes: 1 }, OURS)).rejects.toThrow(GrantConflictError);
    expect(tracker.limitsOf("oci")).toEqual({ apiRequests: 15 });
    expect(await tracker.grant("oci", FIVE, { ...OURS, id: "another" })).toBe(true);
    expect(tracker.limitsOf("oci")).toEqual({ apiRequests: 20 });
    expect((await store.grants?.())?.map(({ id, reason, by }) => [id, reason, by])).toEqual([
      ["ticket-4711", "an outage of ours", "ada"],
      ["another", "an outage of ours", undefined],
    ]);
  });

  it("raises what is limited only, and stays when limits change", async () => {
    const { tracker, counter } = tracked({ limits: LIMITS });
    await tracker.grant("oci", { apiRequests: 5, egressBytes: 7 }, OURS);
    expect(tracker.check("oci", {})).toMatchObject({ limits: { apiRequests: 15 }, granted: { apiRequests: 5 } });
    tracker.setLimits("oci", { egressBytes: 1 });
    expect(counter.limitsOf("oci")).toEqual({ egressBytes: 8 });
    tracker.updateLimits({ oci: { apiRequests: 0 } });
    expect(counter.limitsOf("oci")).toEqual(FIVE);
    tracker.updateLimits({});
    expect(tracker.check("oci", {})).not.toHaveProperty("granted");
  });

  it("of a limit of 0 tells nobody to wait for the next period, which begins without it", async () => {
    const { tracker } = tracked({ limits: { oci: { apiRequests: 0 } } });
    await tracker.grant("oci", FIVE, OURS);
    expect(tracker.tryRecord("oci", FIVE)).toBe(true);
    const refused = tracker.check("oci", { apiRequests: 1 });
    expect(refused).toMatchObject({ allowed: false, reason: "limit", limits: FIVE, granted: FIVE });
    expect(refused).not.toHaveProperty("retryAfterMs");
    expect(toHeaders(refused)["x-should-retry"]).toBe("false");
    const problem = toProblem(refused);
    expect(problem).not.toHaveProperty("resets-at");
    expect(problem.detail).toBe(
      "The limit of apiRequests is 0, and what was granted is used up: no more of it may be used.",
    );
  });

  it("is refused as a whole where anything is wrong with it: the error says what, and nothing is stored", async () => {
    const { tracker, store } = tracked({ limits: LIMITS });
    const wrong: readonly [unknown, unknown, unknown, RegExp][] = [
      ["", FIVE, OURS, /cannot name a backend/],
      ["oci", { apiRequests: 0 }, OURS, /apiRequests of backend "oci": 0 cannot be granted/],
      ["oci", { apiRequests: -1, egressBytes: 1 }, OURS, /cannot be granted/],
      ["oci", { apiRequests: 2 ** 53 }, OURS, /cannot be granted/],
      ["oci", {}, OURS, /amounts must have one dimension/],
      ["oci", undefined, OURS, /amounts must be an object/],
      ["oci", { apiRequest: 1 }, OURS, /unknown dimension "apiRequest".*apiRequests/],
      ["oci", FIVE, undefined, /grant needs the options \{ id, reason \}/],
      ["oci", FIVE, { reason: "none" }, /a grant's id must be/],
      ["oci", FIVE, { id: "1" }, /a grant's reason must be/],
      ["oci", FIVE, { ...OURS, by: "" }, /a grant's by must be/],
      ["oci", FIVE, { ...OURS, period: "a\nb" }, /a grant's period must be/],
    ];
    for (const [backend, amounts, options, message] of wrong) {
      const granted = tracker.grant(backend as string, amounts as typeof FIVE, options as typeof OURS);
      await expect(granted, String(message)).rejects.toThrow(message);
    }
    expect(await store.grants?.()).toEqual([]);
    expect(tracker.limitsOf("oci")).toEqual(LIMITS.oci);
    const { grant: _, grants: __, ...none } = memoryStore();
    const poor = tracked({ store: none, limits: LIMITS });
    await expect(poor.tracker.grant("oci", FIVE, OURS)).rejects.toThrow("this store keeps no grants");
    await poor.tracker.flush();
  });

  it("that is made while the store is away is none; where the reply alone was lost, it is found when it is given again", async () => {
    const { store, how } = failing();
    const { tracker } = tracked({ store, limits: LIMITS });
    how.grant = away;
    await expect(tracker.grant("oci", FIVE, OURS)).rejects.toThrow("the database is away");
    expect([tracker.limitsOf("oci"), await store.grants?.()]).toEqual([LIMITS.oci, []]);
    delete how.grant;
    how.after = away;
    await expect(tracker.grant("oci", FIVE, OURS)).rejects.toThrow("the database is away");
    expect(tracker.limitsOf("oci")).toEqual(LIMITS.oci);
    delete how.after;
    expect(await tracker.grant("oci", FIVE, OURS)).toBe(false);
    expect(tracker.limitsOf("oci")).toEqual({ apiRequests: 15 });
  });

  it("is given up after the time-out", async () => {
    const { store, how } = failing();
    how.grant = () => new Promise(() => {});
    const { tracker, clock } = tracked({ store, limits: LIMITS, readTimeoutMs: 500 });
    const granted = expect(tracker.grant("oci", FIVE, OURS)).rejects.toThrow(
      "storing the grant did not end within 500 ms",
    );
    clock.advance(500);
    await granted;
  });
});

describe("a grant of another instance", () => {
  const two = () => {
    const { store, asked, how } = failing();
    const [a, b] = [tracked({ store, limits: LIMITS }), tracked({ store, limits: LIMITS })];
    return { store, asked, how, a: a.tracker, b: b.tracker, clock: b.clock };
  };

  it("is learnt with the next refresh, and with the next flush", async () => {
    const { a, b } = two();
    await b.refresh();
    await a.grant("oci", FIVE, OURS);
    expect(b.limitsOf("oci")).toEqual(LIMITS.oci);
    await b.refresh();
    expect(b.check("oci", {})).toMatchObject({ limits: { apiRequests: 15 }, granted: FIVE });
    await a.grant("oci", FIVE, { ...OURS, id: "another" });
    await b.flush();
    expect(b.limitsOf("oci")).toEqual({ apiRequests: 20 });
  });

  it("is read once: later only what was granted since, and all again now and then", async () => {
    const { a, b, asked, clock } = two();
    await a.grant("oci", FIVE, OURS);
    await b.refresh();
    expect(asked.mock.lastCall).toEqual([{ period: "2026-01" }]);
    await b.refresh();
    expect(asked.mock.lastCall).toEqual([{ period: "2026-01", since: expect.any(Number) }]);
    expect(b.limitsOf("oci")).toEqual({ apiRequests: 15 });
    clock.set("2026-01-15T00:11:00Z");
    await b.refresh();
    expect(asked.mock.lastCall).toEqual([{ period: "2026-01" }]);
    expect(b.limitsOf("oci")).toEqual({ apiRequests: 15 });
  });

  it("is known of a backend from its first instant on, whenever that comes, and costs no read of its own", async () => {
    const { store, asked } = failing();
    const a = tracked({ store });
    const limits = () => ({ apiRequests: 10 });
    const { tracker: b } = tracked({ store, backends: [], limits });
    for (const tenant of ["acme", "umbrella"]) await a.tracker.grant(tenant, FIVE, OURS);
    await b.ensure("acme");
    expect(b.limitsOf("acme")).toEqual({ apiRequests: 15 });
    expect(asked).toHaveBeenCalledTimes(1);
    await b.ensure(["umbrella", "initech"]);
    expect([b.limitsOf("umbrella"), b.limitsOf("initech")]).toEqual([{ apiRequests: 15 }, { apiRequests: 10 }]);
    expect(b.release("acme")).toBe(true);
    await b.ensure("acme");
    expect(b.counter.limitsOf("acme")).toEqual({ apiRequests: 15 });
    expect(asked).toHaveBeenCalledTimes(1);
  });

  it("does not hold up what is brought in where the store cannot be read, if it is to be admitted", async () => {
    const { store, how } = failing();
    how.grants = away;
    const { tracker } = tracked({ store, backends: [], limits: { acme: { apiRequests: 10 } } });
    await expect(tracker.ensure("acme")).rejects.toThrow("acme");
    const { tracker: admits } = tracked({
      store,
      backends: [],
      limits: { acme: { apiRequests: 10 } },
      whenUnknown: "admit",
    });
    await admits.ensure("acme");
    expect(admits.limitsOf("acme")).toEqual({ apiRequests: 10 });
  });

  it("is known after a restart", async () => {
    const { a, store } = two();
    a.record("oci", { apiRequests: 10 });
    await a.grant("oci", FIVE, OURS);
    await a.flush();
    const { tracker } = tracked({ store, limits: LIMITS });
    await tracker.refresh();
    expect([tracker.tryRecord("oci", FIVE), tracker.tryRecord("oci", { apiRequests: 1 })]).toEqual([true, false]);
  });

  it("that was given for a period to come counts once that comes", async () => {
    const { a, b, clock } = two();
    await a.grant("oci", FIVE, { ...OURS, period: "2026-02" });
    await b.refresh();
    expect(b.limitsOf("oci")).toEqual(LIMITS.oci);
    clock.set("2026-02-01T00:00:00Z");
    await b.refresh();
    expect(b.limitsOf("oci")).toEqual({ apiRequests: 15 });
  });
});

describe("what was granted for a period", () => {
  it("is not part of the next one, which has its own; the limits of the one before can be read", async () => {
    const { tracker, clock } = tracked({ limits: LIMITS });
    await tracker.grant("oci", FIVE, OURS);
    clock.set("2026-02-01T00:00:00Z");
    clock.advance(1_000);
    expect(tracker.check("oci", { apiRequests: 11 })).toMatchObject({ allowed: false, limits: { apiRequests: 10 } });
    expect(tracker.check("oci", {})).not.toHaveProperty("granted");
    // The same id in another period is another grant.
    expect(await tracker.grant("oci", { apiRequests: 7 }, OURS)).toBe(true);
    const before = await tracker.readLimits("2026-01");
    expect([tracker.limitsOf("oci"), before("oci"), before("b2")]).toEqual([
      { apiRequests: 17 },
      { apiRequests: 15 },
      {},
    ]);
    clock.set("2026-01-31T23:59:00Z");
    clock.advance(1_000);
    await tracker.refresh();
    expect(tracker.check("oci", {})).toMatchObject({ limits: { apiRequests: 15 }, granted: FIVE });
  });

  it("is stored again where the store has lost it, and its backend is held", async () => {
    const { store, clock, tracker } = tracked({ limits: LIMITS });
    await tracker.grant("oci", FIVE, { ...OURS, by: "ada" });
    await tracker.grant("gone", FIVE, OURS);
    await store.remove("oci");
    await store.remove("gone");
    clock.set("2026-01-15T00:11:00Z");
    await tracker.refresh();
    expect(tracker.limitsOf("oci")).toEqual({ apiRequests: 15 });
    const again = await store.grants?.();
    expect(again).toMatchObject([{ period: "2026-01", backend: "oci", amounts: FIVE, ...OURS, by: "ada" }]);
    expect(again).toHaveLength(1);
  });

  it("stays where it was granted while all grants were read", async () => {
    const { store, how } = failing();
    const { tracker } = tracked({ store, limits: LIMITS });
    const { promise, resolve } = Promise.withResolvers<void>();
    how.grants = () => promise;
    const refreshed = tracker.refresh();
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    await tracker.grant("oci", FIVE, OURS);
    await store.remove("oci");
    resolve();
    await refreshed;
    expect(tracker.limitsOf("oci")).toEqual({ apiRequests: 15 });
    // Whoever removed it removed what a later read must find missing, not this one.
    delete how.grants;
    expect(await store.grants?.()).toEqual([]);
  });

  it("is not limits of every period where a backend comes back that was let go of while others were awaited", async () => {
    const { store, how } = failing();
    const counter = new LocalCounterBackend(["oci"]);
    const tracker = new UsageTracker(counter, { store, limits: LIMITS });
    await tracker.grant("oci", FIVE, OURS);
    const { promise, resolve } = Promise.withResolvers<void>();
    how.grants = () => promise;
    const asked = tracker.ensure("oci");
    counter.release("oci");
    resolve();
    await asked;
    await tracker.ensure("oci");
    expect(counter.creditAll("oci").apiRequests).toBe(5);
    expect(counter.limitsOf("oci")).toEqual({ apiRequests: 15 });
  });
});
