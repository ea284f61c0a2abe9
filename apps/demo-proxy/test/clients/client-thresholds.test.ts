import { systemClock } from "@usage/counter-core";
import type { ThresholdEvent } from "@usage/tracker";
import { describe, expect, it, vi } from "vitest";
import { thresholdText } from "../../src/webhooks/threshold-text.ts";
import type { ClientThresholdEvent } from "../../src/webhooks/webhook-event.ts";
import { startApp } from "../support/app.ts";
import { call } from "../support/call.ts";
import { Receiver } from "../support/receiver.ts";
import { SOON } from "../support/shared-proxies.ts";
import { clientOf, type Settings, startWithClients } from "./client-fixture.ts";

const month = (thresholds: string) => `thresholds: ${thresholds}, month: { apiRequests: 10 }, day: { apiRequests: 4 }`;

/** A proxy, and who is told by it. The client `llm` has the name and the limit of the backend. */
async function start({
  plan = month("{ month: [0.2, 0.5], day: [1] }"),
  clients,
}: {
  plan?: string;
  clients?: Settings["clients"];
}) {
  const receiver = await Receiver.start();
  const given = (plan: string): Settings => ({
    plans: `{ free: { ${plan} } }`,
    clients: clients ?? { llm: "plan: free", batch: "limits: { month: { apiRequests: 1 } }" },
    limits: "{ apiRequests: 10 }",
    more: `webhooks: [{ name: ops, url: "${receiver.url.href}" }]\nthresholds: [0.2]`,
  });
  const aheadMs = Date.parse("2026-11-15T12:00:00Z") - Date.now();
  const clock = { ...systemClock, now: () => Date.now() + aheadMs };
  const started = await startWithClients(given(plan), { clock });
  const { admin, ask, take } = started;
  /** So many requests, which are then stored. */
  const use = async (name: string, requests: number): Promise<void> => {
    for (let n = 0; n < requests; n++) expect((await ask(name)).status).toBe(200);
    await call(admin, "/api/flush", { method: "POST" });
  };
  const events = () => receiver.deliveries.map(({ body }) => JSON.parse(body) as ThresholdEvent | ClientThresholdEvent);
  /** Of clients: the window, the threshold and the usage, in order. */
  const told = () => events().map(said).toSorted();
  return { ...started, use, told, events, clock, setPlan: (plan: string) => take(given(plan)) };
}

const said = (event: ThresholdEvent | ClientThresholdEvent) => {
  const { window = "", threshold, usage, limit } = event;
  const who = "client" in event ? `client ${event.client} ${window}` : event.backend;
  return `${who} ${threshold} of ${limit}: ${usage}`;
};

describe("thresholds of clients", () => {
  it("are told once for each window, apart from those of a backend of the same name, and listed", async () => {
    const { use, told, events, admin } = await start({});
    await use("batch", 1);
    await use("llm", 2);
    await vi.waitFor(() => expect(told()).toEqual(["client llm month 0.2 of 10: 2", "llm 0.2 of 10: 3"]), SOON);
    expect(new Set(events().map(({ id }) => id.replace("client-", ""))).size).toBe(1);
    expect(new Set(events().map(({ id }) => id)).size).toBe(2);
    await use("llm", 2);
    const all = ["client llm day 1 of 4: 4", "client llm month 0.2 of 10: 2", "llm 0.2 of 10: 3"];
    await vi.waitFor(() => expect(told()).toEqual(all), SOON);

    const { windows } = (await clientOf(admin, "llm")) ?? {};
    expect([windows?.month?.reached, windows?.day?.reached]).toEqual([{ apiRequests: [0.2] }, { apiRequests: [1] }]);
    const ofClient = { client: "llm", dimension: "apiRequests", usage: 4 };
    expect((await call(admin, "/api/thresholds")).json).toMatchObject({
      reached: [
        { backend: "llm", usage: 5 },
        { ...ofClient, window: "month", period: "2026-11", limit: 10, reached: [0.2] },
        { ...ofClient, window: "day", period: "day:2026-11-15", limit: 4, reached: [1] },
      ],
    });
  });

  it("are told once by all proxies of a store, and not again by their next run", async () => {
    const { use, told, app, clock } = await start({});
    const { config } = app.live;
    const elsewhere = { ...config, listen: { host: "127.0.0.1", port: 0 } };
    const other = await startApp(elsewhere, { clock });
    await use("llm", 1);
    const mine = { authorization: "Bearer key-of-llm-0123456789" };
    await call(other.proxy, "/10", { headers: mine });
    await call(other.admin, "/api/flush", { method: "POST" });
    // It has heard of the other one's by then; both look.
    await use("llm", 0);
    const crossed = ["client llm month 0.2 of 10: 2", "llm 0.2 of 10: 2"];
    await vi.waitFor(() => expect(told()).toEqual(crossed), SOON);
    await app.stop({ graceMs: 0 });
    await other.app.stop({ graceMs: 0 });
    const next = await startApp(elsewhere, { clock });
    await call(next.proxy, "/10", { headers: mine });
    await next.app.stop({ graceMs: 0 });
    expect(told()).toEqual(crossed);
    // What the last flush of a run has reached, the next run tells.
    const last = await startApp(elsewhere, { clock });
    await call(last.proxy, "/10", { headers: mine });
    await last.app.stop({ graceMs: 0 });
    await startApp(elsewhere, { clock });
    await vi.waitFor(() => expect(told()).toContain("client llm day 1 of 4: 4"), SOON);
  });

  it("are told at once where a reload brings them, also to who is counted in another time zone then", async () => {
    const { use, told, setPlan } = await start({ plan: month("{ day: [0.5] }"), clients: { web: "plan: free" } });
    await use("web", 1);
    await setPlan(`timeZone: UTC, ${month("{ day: [0.5], month: [0.1] }")}`);
    await vi.waitFor(() => expect(told()).toEqual(["client web month 0.1 of 10: 1"]), SOON);
    await setPlan(`timeZone: Pacific/Kiritimati, ${month("{ day: [0.5], month: [0.1] }")}`);
    // There it is the 16th.
    await use("web", 2);
    const all = ["client web day 0.5 of 4: 2", "client web month 0.1 of 10: 1", "llm 0.2 of 10: 3"];
    await vi.waitFor(() => expect(told()).toEqual(all), SOON);
  });

  it("are a sentence that says whose they are, and of which window", () => {
    const event = { id: "1", client: "web", dimension: "egressBytes" as const, threshold: 0.8, limit: 100, usage: 80 };
    expect(thresholdText({ ...event, window: "day", period: "day:2026-11-29" })).toBe(
      "The client web has reached 80 % of its egress limit in the day 2026-11-29: 80 B of 100 B",
    );
    expect(thresholdText({ ...event, window: "month", period: "2026-11" })).toContain("in the month 2026-11:");
  });
});
