import { memoryStore, type UsageStore } from "@usage/counter-core";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { startApp } from "../support/app.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { clientOf, clientsOf, type Settings, startWithClients } from "./client-fixture.ts";

const at = (date: string): number => Date.parse(date);
const plan = (calendar: string) => `{ ${calendar} month: { apiRequests: 9 }, day: { apiRequests: 2 } }`;
const plans = (calendar: string) => `{ free: ${plan(calendar)}, utc: ${plan("")} }`;
const clients: Settings["clients"] = { web: "plan: free", batch: "plan: utc", late: "plan: free, anchorDay: 31" };

/** A proxy at that time, whose clients of the plan free have months and days of Berlin, months from the 15th on. */
async function start(date: string) {
  const clock = new FakeClock(at(date));
  const started = await startWithClients(
    { plans: plans("timeZone: Europe/Berlin, anchorDay: 15,"), clients },
    { clock },
  );
  return {
    ...started,
    clock,
    setPlan: (calendar: string) => started.take({ plans: plans(calendar), clients }),
    /** Periods and requests of each window. */
    usedBy: async (name: string) => {
      const { windows = {} } = (await clientOf(started.admin, name)) ?? {};
      return Object.values(windows).map(({ period, usage }) => `${period.key} ${usage.apiRequests}`);
    },
  };
}

describe("clients whose plan has a time zone and a day on which months begin", () => {
  it("are in periods of that zone, and told in seconds when the next one begins", async () => {
    const { ask, admin, clock, usedBy } = await start("2026-11-14T22:59:30Z");
    const first = await ask("web");
    expect(first.headers.ratelimit).toBe('"month:apiRequests";r=8;t=30, "day:apiRequests";r=1;t=30');
    await ask("web");
    const refused = await ask("web");
    expect([refused.status, refused.headers["retry-after"]]).toEqual([429, "30"]);
    expect(JSON.parse(refused.text)).toMatchObject({ window: "day", "resets-at": "2026-11-14T23:00:00.000Z" });
    for (let i = 0; i < 2; i++) await ask("batch");
    expect((await ask("batch")).headers["x-should-retry"]).toBe("false");
    expect((await clientOf(admin, "web"))?.windows).toMatchObject({
      month: { period: { key: "2026-10-15", start: "2026-10-14T22:00:00.000Z", end: "2026-11-14T23:00:00.000Z" } },
      day: { period: { key: "day:2026-11-14", start: "2026-11-13T23:00:00.000Z", end: "2026-11-14T23:00:00.000Z" } },
    });
    expect((await clientsOf(admin)).plans.free).toMatchObject({ timeZone: "Europe/Berlin", anchorDay: 15 });
    expect((await usedBy("late"))[0]).toBe("2026-10-31 0");
    expect(await usedBy("batch")).toEqual(["2026-11 2", "day:2026-11-14 2"]);

    clock.advance(30_000);
    expect([(await ask("web")).status, (await ask("batch")).status]).toEqual([200, 429]);
    expect(await usedBy("web")).toEqual(["2026-11-15 1", "day:2026-11-15 1"]);
  });

  it("go on in the same months and days where the zone is changed, also with what was not stored yet", async () => {
    const { ask, app, usedBy, setPlan } = await start("2026-11-20T12:00:00Z");
    await ask("web");
    await setPlan("timeZone: America/New_York, anchorDay: 15,");
    expect(await usedBy("web")).toEqual(["2026-11-15 1", "day:2026-11-20 1"]);
    expect([(await ask("web")).status, (await ask("web")).status]).toEqual([200, 429]);
    // What counted them before lets go of them.
    const holding = () => app.clientUsage.counters().filter((counter) => counter.backends().includes("web"));
    expect(holding()).toHaveLength(4);
    await app.clientUsage.usage?.flush();
    expect(holding()).toHaveLength(2);
  });

  it("wait no longer than flush.timeoutMs for what is not stored yet", async () => {
    const clock = new FakeClock(at("2026-11-20T12:00:00Z"));
    const store = memoryStore();
    const merge = vi.fn<UsageStore["merge"]>(store.merge);
    const given = { plans: plans("anchorDay: 15,"), clients };
    const { ask, app, take } = await startWithClients(given, { clock, clientStore: { ...store, merge } });
    onTestFinished(() => void merge.mockImplementation(store.merge));
    await ask("web");
    merge.mockImplementation(() => new Promise(() => {}));
    const taken = take({ plans: plans("anchorDay: 20,"), clients }).catch((error: unknown) => error);
    await vi.waitFor(() => expect(merge).toHaveBeenCalled());
    clock.advance(app.live.config.flush.timeoutMs);
    expect(String(await taken)).toContain("the flush did not end within 20000 ms");
    const { live } = app;
    merge.mockImplementation(store.merge);
    await live.take(async () => ({ ...live.config, flush: { ...live.config.flush, timeoutMs: 2_000 } }));
    merge.mockImplementation(() => new Promise(() => {}));
    await ask("web");
    const flushed = app.clientUsage.flush().catch((error: unknown) => error);
    clock.advance(2_000);
    expect(String(await flushed)).toContain("2000 ms");
  });

  it("begin other months where the day is changed, and find those of before where it is changed back", async () => {
    const { ask, app, usedBy, setPlan, clock } = await start("2026-11-20T12:00:00Z");
    await ask("web");
    await setPlan("anchorDay: 20,");
    expect(await usedBy("web")).toEqual(["2026-11-20 0", "day:2026-11-20 1"]);
    expect((await ask("web")).status).toBe(200);
    await setPlan("timeZone: Europe/Berlin, anchorDay: 15,");
    expect(await usedBy("web")).toEqual(["2026-11-15 1", "day:2026-11-20 2"]);
    expect((await ask("web")).status).toBe(429);

    const { config } = app.live;
    await app.stop({ graceMs: 0 });
    const next = await startApp({ ...config, listen: { host: "127.0.0.1", port: 0 } }, { clock });
    expect((await clientOf(next.admin, "web"))?.windows).toMatchObject({
      month: { period: { key: "2026-11-15" }, usage: { apiRequests: 1 } },
      day: { period: { key: "day:2026-11-20" }, usage: { apiRequests: 2 } },
    });
  });
});
