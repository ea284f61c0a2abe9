import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { memoryStore } from "@usage/counter-core";
import type { FlushEvent, LimitEvent } from "@usage/tracker";
import { describe, expect, it } from "vitest";
import { gatedStore } from "./support/gated-store.ts";
import { tracked } from "./support/tracked.ts";
import { turn } from "./support/turn.ts";

type Dimension = "apiRequests" | "egressBytes" | "ingressBytes";

describe("onFlush", () => {
  it("tells which tracker flushed, how long that took, and how it ended", async () => {
    const { store, gates } = gatedStore(memoryStore());
    const down = new Error("down");
    const { tracker, clock } = tracked({ store });
    const other = tracked();
    const events: FlushEvent<Dimension>[] = [];
    tracker.onFlush((event) => void events.push(event));
    other.tracker.onFlush((event) => void events.push(event));
    tracker.record("oci", { apiRequests: 1 });
    const failing = tracker.flush().catch((error: unknown) => error);
    await turn();
    clock.advance(1_500);
    gates[0]?.reject(down);
    expect(await failing).toBe(down);
    const flushed = tracker.flush();
    await turn();
    clock.advance(20);
    gates[1]?.resolve();
    await flushed;
    await other.tracker.flush();
    expect(events).toEqual([
      { tracker, durationMs: 1_500, stored: 0, rejected: [], error: down },
      { tracker, durationMs: 20, stored: 1, rejected: [] },
      { tracker: other.tracker, durationMs: 0, stored: 0, rejected: [] },
    ]);
  });

  it("takes no time away where the clock was set back meanwhile", async () => {
    const { store, gates } = gatedStore(memoryStore());
    const { tracker, clock } = tracked({ store });
    const durations: number[] = [];
    tracker.onFlush(({ durationMs }) => void durations.push(durationMs));
    tracker.record("oci", { apiRequests: 1 });
    const flushed = tracker.flush();
    await turn();
    clock.set("2026-01-14T00:00:00Z");
    gates[0]?.resolve();
    await flushed;
    expect(durations).toEqual([0]);
  });

  it("tells of a flush that was aborted while it waited, too", async () => {
    const { store, open } = gatedStore(memoryStore());
    const { tracker } = tracked({ store });
    const errors: unknown[] = [];
    tracker.onFlush(({ error }) => void errors.push(error));
    tracker.record("oci", { apiRequests: 1 });
    const first = tracker.flush();
    const enough = new Error("enough");
    await expect(tracker.flush({ signal: AbortSignal.abort(enough) })).rejects.toBe(enough);
    open();
    await first;
    await turn(2);
    expect(errors).toEqual([undefined, enough]);
  });

  it("may be answered with another flush, which is none within the first", async () => {
    const { tracker } = tracked({ store: { ...memoryStore(), totals: () => Promise.reject(new Error("down")) } });
    let [calls, depth] = [0, 0];
    const flush = (): Promise<unknown> => tracker.flush().catch(() => {});
    tracker.onFlush(() => {
      calls += 1;
      depth += 1;
      expect(depth).toBe(1);
      if (calls < 3) void flush();
      depth -= 1;
    });
    await flush();
    await turn(10);
    expect(calls).toBe(3);
  });

  it("is told to each listener until it is disposed of, one and the same function twice included", async () => {
    const { tracker } = tracked();
    let calls = 0;
    const listener = (): void => {
      calls += 1;
    };
    const first = tracker.onFlush(listener);
    tracker.onFlush(listener);
    await tracker.flush();
    expect(calls).toBe(2);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    await tracker.flush();
    expect(calls).toBe(3);
    {
      using _ = tracker.onFlush(listener);
      await tracker.flush();
    }
    await tracker.flush();
    expect(calls).toBe(6);
  });

  it("keeps nobody from hearing of it where a listener throws: that is an uncaught exception, and the flush is as it was", async () => {
    const code = `
      import { LocalCounterBackend, memoryStore } from "@usage/counter-core";
      import { UsageTracker } from "@usage/tracker";
      const tracker = new UsageTracker(new LocalCounterBackend(["oci"]), { store: memoryStore() });
      process.on("uncaughtException", ({ message }) => console.log("uncaught:", message));
      tracker.onFlush(() => { throw new Error("my listener"); });
      tracker.onFlush(({ stored }) => console.log("heard:", stored));
      tracker.record("oci", { apiRequests: 1 });
      console.log("stored:", (await tracker.flush()).stored);
    `;
    const args = ["--conditions=@usage/source", "--input-type=module-typescript", "--eval", code];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname });
    expect(stdout.trim().split("\n").sort()).toEqual(["heard: 1", "stored: 1", "uncaught: my listener"]);
  });
});

describe("onLimit", () => {
  it("tells of every refusal while somebody listens, and may be answered with another question", () => {
    const { tracker } = tracked({ limits: { oci: { apiRequests: 1, egressBytes: 1 } } });
    const events: LimitEvent<Dimension>[] = [];
    const listening = tracker.onLimit((event) => {
      events.push(event);
      tracker.withinLimits("b2", { apiRequests: 999 });
    });
    expect(tracker.backendsWithinLimits(["oci", "b2"], { apiRequests: 2, ingressBytes: 1 })).toEqual(["b2"]);
    expect(tracker.tryRecord("oci", { egressBytes: 2 })).toBe(false);
    listening[Symbol.dispose]();
    tracker.withinLimits("oci", { apiRequests: 2 });
    expect(events).toEqual([
      { tracker, backend: "oci", exceeded: ["apiRequests"], reason: "limit", period: "2026-01" },
      { tracker, backend: "oci", exceeded: ["egressBytes"], reason: "limit", period: "2026-01" },
    ]);
  });

  it("is silent where all is within the limits, and where a call throws", () => {
    const { tracker } = tracked({ limits: { oci: { apiRequests: 1 } } });
    const events: unknown[] = [];
    tracker.onLimit((event) => void events.push(event));
    tracker.tryRecord("oci", { apiRequests: 1 });
    tracker.check("oci", { apiRequests: 1 });
    tracker.record("oci", { apiRequests: 1 });
    expect(() => tracker.withinLimits("gone", { apiRequests: 1 })).toThrow();
    expect(() => tracker.tryRecord("oci", { apiRequests: -1 })).toThrow();
    expect(events).toEqual([]);
  });
});
