import { LocalCounterBackend, memoryStore, type StoredUsage } from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";
import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { audit } from "../../../src/admin/api/audit/audit.ts";
import { Turns } from "../../../src/admin/turns.ts";
import { startApp, startUpstream, testConfig } from "../../support/app.ts";
import { call } from "../../support/call.ts";

async function start() {
  const upstream = await startUpstream();
  const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }]);
  const file = config.store.kind === "sqlite" ? config.store.file : "";
  const { app, proxy, admin } = await startApp(config);
  const get = (): Promise<unknown> => call(proxy, "/objects/100");
  const rows = async () => ((await call(admin, "/api/audit")).json as Awaited<ReturnType<typeof audit>>).rows;
  return { app, admin, file, get, rows };
}

describe("GET /api/audit", () => {
  it("compares what is counted with what the store holds", async () => {
    const { app, get, rows } = await start();
    await get();
    const [requests, egress, ingress] = await rows();
    const row = { backend: "oci", shared: null };
    expect(requests).toEqual({ ...row, dimension: "apiRequests", counted: 1, stored: 0, verdict: "unstored" });
    expect(egress).toEqual({ ...row, dimension: "egressBytes", counted: 100, stored: 0, verdict: "unstored" });
    expect(ingress).toEqual({ ...row, dimension: "ingressBytes", counted: 0, stored: 0, verdict: "equal" });
    await app.flusher.flush();
    expect((await rows()).map(({ counted, stored, verdict }) => [counted, stored, verdict])).toEqual([
      [1, 1, "equal"],
      [100, 100, "equal"],
      [0, 0, "equal"],
    ]);
  });

  it("finds what was deleted from the store behind its back", async () => {
    const { app, file, get, rows } = await start();
    await get();
    await app.flusher.flush();
    const database = new Database(file);
    database.exec("update usage_tallies set amount = 60 where dimension = 'egressBytes'");
    database.close();
    expect((await rows()).map(({ verdict }) => verdict)).toEqual(["equal", "missing", "equal"]);
  });

  it("finds what another instance has stored and this one has not heard of", async () => {
    const { app, rows } = await start();
    const { key: period } = app.tracker.counter.period();
    await app.store.merge([{ writer: "other", period, backend: "oci", usage: { apiRequests: 5 } }]);
    expect((await rows()).map(({ verdict }) => verdict)).toEqual(["unheard", "equal", "equal"]);
  });

  it("answers 503 while the store cannot be read", async () => {
    const { admin, file } = await start();
    const database = new Database(file);
    database.exec("alter table usage_tallies rename to away");
    database.close();
    expect(await call(admin, "/api/audit")).toMatchObject({ status: 503, json: { title: "The store failed" } });
  });
});

it("reports leave out a backend that is let go of while they are made", async () => {
  const upstream = await startUpstream();
  const backends = ["oci", "gone"].map((name) => ({ name, url: upstream.url, limits: { apiRequests: 1 } }));
  const { app, proxy, admin } = await startApp(testConfig(backends, { thresholds: [0.5] }));
  await call(proxy, "/objects/1");
  await app.flusher.flush();
  expect(app.tracker.release("gone")).toBe(true);
  for (const path of ["/api/usage", "/api/thresholds", "/api/audit", "/metrics"]) {
    const { status, text } = await call(admin, path);
    expect([path, status, text.includes("oci"), text.includes("gone")]).toEqual([path, 200, true, false]);
  }
  const events = await fetch(`http://127.0.0.1:${admin.port}/api/events`);
  expect(events.status).toBe(200);
  await events.body?.cancel();
});

describe("an audit of counts that move and are shared", () => {
  it("leaves out what is let go of before the store is read, or while it is", async () => {
    const counter = new LocalCounterBackend(["early", "late", "oci"]);
    const tracker = new UsageTracker(counter, { store: memoryStore() });
    const totals = async () => {
      expect(tracker.release("late")).toBe(true);
      return { usage: new Map() };
    };
    const audited = audit({ tracker, store: { totals }, turns: new Turns() });
    expect(tracker.release("early")).toBe(true);
    expect(new Set((await audited).rows.map(({ backend }) => backend))).toEqual(new Set(["oci"]));
  });

  it("takes what is stored while requests go on as equal, and tells what is shared of it", async () => {
    const counter = new LocalCounterBackend(["oci"]);
    const tracker = new UsageTracker(counter, { store: memoryStore() });
    counter.add("oci", "apiRequests", 10);
    const stored: StoredUsage = {
      all: { apiRequests: 12, egressBytes: 0, ingressBytes: 0 },
      own: { apiRequests: 12, egressBytes: 0, ingressBytes: 0 },
    };
    const totals = async () => {
      counter.add("oci", "apiRequests", 5);
      return { usage: new Map([["oci", stored]]) };
    };
    const sharing = { unpushedAll: () => ({ apiRequests: 2, egressBytes: 0, ingressBytes: 0 }) };
    const { rows } = await audit({ tracker, store: { totals }, sharing, turns: new Turns() });
    expect(rows[0]).toMatchObject({ counted: 12, shared: 10, stored: 12, verdict: "equal" });
  });
});
