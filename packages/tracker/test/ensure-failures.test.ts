import { NameError, TooManyBackendsError, UnknownUsageError, type UsageStore } from "@usage/counter-core";
import { describe, expect, it, vi } from "vitest";
import { tracked } from "./support/tracked.ts";
import { turn } from "./support/turn.ts";
import { watchedStore } from "./support/watched-store.ts";

describe("ensure while the store is away", () => {
  it("rejects with an error that names the backend and the reason, and holds nothing", async () => {
    const { store, state, put } = watchedStore();
    await put("acme", 4);
    const { tracker, counter } = tracked({ store, backends: [] });
    state.down = true;
    const error = await Promise.resolve(tracker.ensure("acme")).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UnknownUsageError);
    expect(error).toMatchObject({ code: "USAGE_UNKNOWN_USAGE", backends: ["acme"], cause: new Error("down") });
    expect(counter.has("acme")).toBe(false);
    state.down = false;
    await tracker.ensure("acme");
    expect(counter.totalAll("acme").apiRequests).toBe(4);
  });

  it("admits, if told to, with limits all the same, and learns the rest with the next flush", async () => {
    const { store, state, put } = watchedStore();
    await put("acme", 4);
    const { tracker, counter, stored } = tracked({
      store,
      backends: [],
      whenUnknown: "admit",
      limits: () => ({ apiRequests: 5 }),
    });
    state.down = true;
    await tracker.ensure("acme");
    expect(tracker.tryRecord("acme", { apiRequests: 6 })).toBe(false);
    expect(tracker.tryRecord("acme", { apiRequests: 3 })).toBe(true);
    state.down = false;
    await tracker.flush();
    expect(counter.totalAll("acme").apiRequests).toBe(7);
    expect(await stored("acme")).toBe(7);
    expect(tracker.tryRecord("acme", { apiRequests: 1 })).toBe(false);
  });

  it.each([
    ["ended before", false],
    ["is under way meanwhile", true],
  ])(
    "learns the rest with the next refresh, whose cursor is later than that, where another one %s",
    async (_, isSlow) => {
      const { store, state, put } = watchedStore();
      await put("acme", 4);
      const { promise: slowly, resolve: goOn } = Promise.withResolvers<void>();
      const totals: UsageStore["totals"] = async (...query) => {
        const read = await store.totals(...query);
        if (isSlow) await slowly;
        return read;
      };
      const { tracker, counter } = tracked({ store: { ...store, totals }, backends: [], whenUnknown: "admit" });
      const refreshed = tracker.refresh();
      await turn(2);
      state.down = true;
      await tracker.ensure("acme");
      state.down = false;
      goOn();
      await refreshed;
      await tracker.refresh();
      expect(counter.totalAll("acme").apiRequests).toBe(4);
    },
  );

  it("loses and doubles nothing of what it had counted and let go of before", async () => {
    const { store, state } = watchedStore();
    const { tracker, counter, stored } = tracked({ store, backends: [], whenUnknown: "admit" });
    for (let round = 1; round <= 4; round++) {
      state.down = round % 2 === 0;
      await tracker.ensure("acme");
      tracker.record("acme", { apiRequests: 10 });
      state.down = false;
      await tracker.flush();
      expect(counter.totalAll("acme").apiRequests).toBe(10 * round);
      expect(tracker.release("acme")).toBe(true);
    }
    expect(await stored("acme")).toBe(40);
  });

  it.each(["reject", "admit"] as const)("ends in time where it hangs: %s", async (whenUnknown) => {
    const { store, state } = watchedStore();
    const { tracker, clock, counter } = tracked({ store, backends: [], whenUnknown, readTimeoutMs: 2_000 });
    state.hangs = true;
    const asked = Promise.resolve(tracker.ensure(["acme", "umbrella"])).catch((error: unknown) => error);
    await turn();
    clock.advance(2_000);
    const outcome = await asked;
    if (whenUnknown === "reject") {
      expect(outcome).toMatchObject({ cause: { message: "reading what was used did not end within 2000 ms" } });
    } else expect(outcome).toBeUndefined();
    expect(counter.has("acme")).toBe(whenUnknown === "admit");
    expect(clock.pending).toBe(1); // the counter's own: no deadline is left behind
  });
});

describe("ensure of what cannot be held", () => {
  it("refuses names that are none alone: whoever is asked for in the same turn is held", async () => {
    const { store, reads } = watchedStore();
    const { tracker, counter } = tracked({ store, backends: [] });
    const outcomes = await Promise.allSettled([
      tracker.ensure("acme"),
      tracker.ensure(""),
      tracker.ensure("x".repeat(257)),
      tracker.ensure(["umbrella", "a\nb"]),
      tracker.ensure([5 as unknown as string]),
      tracker.ensure("initech"),
    ]);
    const errors = outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.reason : undefined));
    for (const i of [1, 2, 3, 4]) expect(errors[i]).toBeInstanceOf(NameError);
    expect([errors[0], errors[5]]).toEqual([undefined, undefined]);
    expect(reads).toHaveLength(1);
    expect(counter.backends()).toEqual(["acme", "umbrella", "initech"]);
  });

  it("refuses what has wrong limits alone, with an error that names tenant and value, and holds it not", async () => {
    const wrong: Readonly<Record<string, unknown>> = {
      nan: { apiRequests: Number.NaN },
      negative: { apiRequests: -1 },
      unknown: { tokens: 5 },
      text: "5",
      none: null,
      list: [5],
    };
    const limits = (backend: string) => {
      if (backend === "throws") throw new Error("no plan of throws");
      return (backend in wrong ? wrong[backend] : { apiRequests: 9 }) as { readonly apiRequests: number };
    };
    const { tracker, counter } = tracked({ backends: [], limits });
    const names = ["acme", ...Object.keys(wrong), "throws", "umbrella"];
    const outcomes = await Promise.allSettled(names.map((name) => tracker.ensure(name)));
    const messages = outcomes.map((outcome) => (outcome.status === "rejected" ? String(outcome.reason.message) : ""));
    expect(messages).toEqual([
      "",
      expect.stringMatching(/apiRequests of backend "nan": NaN cannot be a limit/),
      expect.stringMatching(/apiRequests of backend "negative": -1 cannot be a limit/),
      expect.stringMatching(/unknown dimension "tokens" for backend "unknown"/),
      expect.stringMatching(/limits of backend "text" must be an object/),
      expect.stringMatching(/limits of backend "none" must be an object/),
      expect.stringMatching(/limits of backend "list" must be an object/),
      "no plan of throws",
      "",
    ]);
    expect(counter.backends()).toEqual(["acme", "umbrella"]);
    expect(counter.limitsOf("umbrella")).toEqual({ apiRequests: 9 });
  });

  it("asks the function again for a tenant that it refused before", async () => {
    let plan: unknown = { apiRequests: -1 };
    const { tracker } = tracked({ backends: [], limits: () => plan as { readonly apiRequests: number } });
    await expect(tracker.ensure("acme")).rejects.toThrow(/cannot be a limit/);
    plan = { apiRequests: 1 };
    await tracker.ensure("acme");
    expect(tracker.tryRecord("acme", { apiRequests: 2 })).toBe(false);
  });

  it("looks once for all that there is room for, however many ask at once", async () => {
    const { tracker, counter } = tracked({ backends: [], maxBackends: 1_000 });
    const ensure = vi.spyOn(counter, "ensure");
    const names = Array.from({ length: 5_000 }, (_, i) => `tenant ${i}`);
    const outcomes = await Promise.allSettled(names.map((name) => tracker.ensure(name)));
    const held = outcomes.flatMap(({ status }, i) => (status === "fulfilled" ? [names[i]] : []));
    expect(held).toEqual(names.slice(0, 1_000));
    expect(outcomes.at(-1)).toMatchObject({ reason: new TooManyBackendsError("tenant 4999", 1_000) });
    expect(counter.backends()).toEqual(held);
    expect(ensure).toHaveBeenCalledTimes(2);
  });

  it("holds what somebody else has held meanwhile, though there is no room left", async () => {
    const { tracker, counter } = tracked({ backends: ["oci"], maxBackends: 3 });
    const asked = Promise.allSettled(["a", "b", "c"].map((name) => tracker.ensure(name)));
    await counter.ensure(["c", "b"], async () => []);
    expect((await asked).map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
  });

  it("holds as many as there is room for, those who came first, and evicts nothing", async () => {
    const { tracker, counter } = tracked({ backends: ["oci"], maxBackends: 4 });
    tracker.record("oci", { apiRequests: 1 });
    const names = ["a", "b", "c", "d", "e"];
    const outcomes = await Promise.allSettled(names.map((name) => tracker.ensure(name)));
    expect(outcomes.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    expect(outcomes[3]).toMatchObject({ reason: new TooManyBackendsError("d", 4) });
    expect(counter.backends()).toEqual(["oci", "a", "b", "c"]);
    expect(counter.load("oci", "apiRequests")).toBe(1);
    expect(tracker.release("a")).toBe(true);
    await tracker.ensure("d");
    await expect(tracker.ensure("e")).rejects.toThrow(TooManyBackendsError);
  });
});
