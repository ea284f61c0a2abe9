import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryStore, STORAGE_DIMENSIONS } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import Database from "better-sqlite3";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { StepsReport } from "../../../src/admin/api/history/steps-report.ts";
import { compose } from "../../../src/compose.ts";
import type { ProxyConfig } from "../../../src/config/proxy-config.ts";
import { parseConfig } from "../../../src/config/read-config.ts";
import { call } from "../../support/call.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const START = Date.UTC(2026, 0, 1);
/** The 20th, 12:30. */
const NOW = START + 19 * DAY_MS + 12.5 * HOUR_MS;
const PERIOD = "2026-01";
const NONE = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };

function configOf(file: string): ProxyConfig {
  const listeners = "listen: 127.0.0.1:0\nadmin: { listen: '127.0.0.1:0' }\nflush: { intervalMs: 3600000 }";
  const backends = ["a", "b", "idle"].map((name) => `{ name: ${name}, url: 'http://127.0.0.1:9' }`).join(", ");
  const text = `${listeners}\nstore: { kind: sqlite, file: '${file}' }\nbackends: [${backends}]`;
  return parseConfig(text, { file: "test.yaml", folder: "/" });
}

/** A proxy of three backends on a SQLite file, whose time stands. */
async function startAt(nowMs: number) {
  const clock = new FakeClock(nowMs);
  const folder = mkdtempSync(join(tmpdir(), "usage-steps-"));
  const file = join(folder, "usage.db");
  const store = await openSqliteStore(file, { timeline: true, clock });
  const app = await compose(configOf(file), { clock, store });
  const { admin } = await app.start();
  const stop = async (): Promise<void> => {
    await app.stop({ graceMs: 0 });
    await store.close();
    rmSync(folder, { recursive: true });
  };
  const get = async (query: string) => {
    const answer = await call(admin, `/api/history${query}`);
    return { status: answer.status, json: answer.json as StepsReport & { readonly detail?: string } };
  };
  return { app, store, file, get, stop };
}

type Started = Awaited<ReturnType<typeof startAt>>;

/** Lets an amount grow in an hour of the month. */
function use(store: Started["store"], backend: string, apiRequests: number, at: number, writer = "w") {
  return store.merge([{ writer, period: PERIOD, backend, usage: { apiRequests } }], { at });
}

describe("usage by day and by hour", () => {
  let started: Started;
  beforeAll(async () => {
    started = await startAt(NOW);
    const { store } = started;
    for (let day = 0; day < 19; day++) await use(store, "a", 100 * (day + 1), START + day * DAY_MS + 5 * HOUR_MS);
    await use(store, "b", 7, NOW - 2 * HOUR_MS);
    await use(store, "b", 9, NOW);
    await use(store, "gone", 4, START + DAY_MS);
    return started.stop;
  });

  it("has each day of the month so far, zeros included, of each backend and of all", async () => {
    const { status, json } = await started.get("?by=day");
    expect(status).toBe(200);
    expect(json).toMatchObject({ by: "day", of: PERIOD, period: PERIOD, start: "2026-01-01T00:00:00.000Z" });
    expect([json.end, json.at]).toEqual(["2026-02-01T00:00:00.000Z", new Date(NOW).toISOString()]);
    expect(json.steps).toHaveLength(20);
    expect([json.steps[0], json.steps[19]]).toEqual(["2026-01-01T00:00:00.000Z", "2026-01-20T00:00:00.000Z"]);
    expect(json.dimensions).toEqual(STORAGE_DIMENSIONS);
    const requests = Object.fromEntries(json.backends.map(({ name, usage }) => [name, usage.apiRequests]));
    const zeros = new Array(20).fill(0);
    expect(requests).toEqual({
      a: [...new Array(19).fill(100), 0],
      b: zeros.with(19, 9),
      idle: zeros,
      gone: zeros.with(1, 4),
    });
    expect(json.all.usage.apiRequests).toEqual([100, 104, ...new Array(17).fill(100), 9]);
    expect(json.all.usage.egressBytes).toEqual(zeros);
    expect([json.all.total, json.all.undated]).toEqual([{ ...NONE, apiRequests: 1_913 }, NONE]);
  });

  it("has each hour of today so far, and of another day all", async () => {
    const { json } = await started.get("?by=hour");
    expect(json).toMatchObject({ by: "hour", of: "2026-01-20", period: PERIOD, end: "2026-01-21T00:00:00.000Z" });
    expect([json.steps.length, json.steps[12]]).toEqual([13, "2026-01-20T12:00:00.000Z"]);
    const b = json.backends.find(({ name }) => name === "b");
    expect(b?.usage.apiRequests).toEqual(new Array(13).fill(0).with(10, 7).with(12, 2));
    expect(json.all).not.toHaveProperty("projection");
    const before = (await started.get("?by=hour&of=2026-01-02")).json;
    expect(before.steps).toHaveLength(24);
    expect(before.all.usage.apiRequests).toEqual(new Array(24).fill(0).with(0, 4).with(5, 100));
    expect((await started.get("?by=hour&of=2025-12-31")).json.all.total).toEqual(NONE);
    expect(await started.get("?by=hour&of=2026-01-25")).toMatchObject({ status: 400 });
  });

  it("has of one backend what is asked for, also of one that used nothing", async () => {
    const { json } = await started.get("?by=day&backend=b");
    expect(json.backends.map(({ name, total }) => [name, total.apiRequests])).toEqual([["b", 9]]);
    expect(json.all.total.apiRequests).toBe(9);
    expect((await started.get("?by=hour&backend=idle")).json.backends[0]?.total).toEqual(NONE);
  });

  it("has months as before", async () => {
    const [first, second] = [await started.get(""), await started.get("?by=month")];
    expect(first).toEqual(second);
    expect(first.json).toMatchObject({
      history: [{ period: PERIOD, backend: "a", usage: { apiRequests: 1_900 } }, { backend: "b" }, { backend: "gone" }],
    });
  });

  it("projects the month's end by day, where there is enough to say", async () => {
    const { json } = await started.get("?by=day");
    const projections = Object.fromEntries(json.backends.map(({ name, projection }) => [name, projection]));
    const atEnd = Math.round(1_900 + 100 * 11.479_166_7);
    const said = { low: atEnd, high: atEnd, confidence: 0.9, from: 19, unit: "day", perDay: 100 };
    expect(projections.a).toEqual({ apiRequests: { atEnd, ...said }, egressBytes: null, ingressBytes: null });
    expect([projections.b?.apiRequests, projections.idle?.apiRequests, projections.gone?.apiRequests]).toEqual([
      null,
      null,
      null,
    ]);
    expect(json.all.projection?.apiRequests).toMatchObject({ from: 19, unit: "day" });
    expect((await started.get("?by=day&of=2025-12")).json.all).not.toHaveProperty("projection");
  });

  it("has another month, as empty as it may be", async () => {
    const { json } = await started.get("?by=day&of=2025-12");
    expect(json.steps).toHaveLength(31);
    expect(json.backends.map(({ name }) => name)).toEqual(["a", "b", "idle"]);
  });

  it.each([
    ["?by=week", "by is month, day or hour"],
    ["?by=day&of=2026", "of is a month"],
    ["?by=day&of=2026-01-01", "of is a month"],
    ["?by=hour&of=2026-01", "of is a day"],
    ["?by=hour&of=2026-02-30", "of is a day"],
    ["?by=day&from=2026-01", '"from" is unknown'],
    ["?by=day&by=day", "by can be given once"],
    ["?by=day&backend=%0A", "No backend can have this name"],
    ["?of=2026-01", '"of" is unknown'],
  ])("refuses %s", async (query, detail) => {
    const { status, json } = await started.get(query);
    expect([status, json.detail]).toEqual([400, expect.stringContaining(detail)]);
  });
});

describe("usage by day", () => {
  it("is that of the database, and with what is undated it is the month's, also where some kept no timeline", async () => {
    const { app, store, file, get, stop } = await startAt(NOW);
    onTestFinished(stop);
    await use(store, "a", 10, NOW);
    {
      await using old = await openSqliteStore(file);
      await old.merge([{ writer: "old", period: PERIOD, backend: "a", usage: { apiRequests: 5, egressBytes: 3 } }]);
    }
    app.tracker.record("b", { apiRequests: 2 });
    await app.flusher.flush();
    const { json } = await get("?by=day");
    const a = json.backends.find(({ name }) => name === "a");
    expect([a?.undated, a?.total]).toEqual([
      { ...NONE, apiRequests: 5, egressBytes: 3 },
      { ...NONE, apiRequests: 15, egressBytes: 3 },
    ]);
    const database = new Database(file);
    onTestFinished(() => void database.close());
    const sumOf = (table: string): unknown =>
      database.prepare(`select sum(amount) as sum from ${table} where dimension = 'apiRequests'`).pluck().get();
    expect(sumOf("usage_timeline")).toBe(json.all.usage.apiRequests?.reduce((sum, amount) => sum + amount, 0));
    expect(sumOf("usage_tallies")).toBe(json.all.total.apiRequests);
    expect(json.all.total.apiRequests).toBe(17);
  });

  it("projects from hours at the beginning of a month, and not from one request", async () => {
    const now = START + 9.5 * HOUR_MS;
    const { store, get, stop } = await startAt(now);
    onTestFinished(stop);
    for (let hour = 0; hour < 9; hour++) await use(store, "a", 60 * (hour + 1), START + hour * HOUR_MS);
    await use(store, "b", 1, now - HOUR_MS);
    const { json } = await get("?by=day");
    const [a, b] = json.backends;
    expect(a?.projection?.apiRequests).toMatchObject({ from: 9, unit: "hour", perDay: 1_440 });
    expect(a?.projection?.apiRequests?.atEnd).toBe(540 + 60 * (31 * 24 - 9.5));
    expect(b?.projection?.apiRequests).toBeNull();
  });

  it("of a thousand backends is written in turns, and requests are served meanwhile", async () => {
    const { store, get, stop } = await startAt(NOW);
    onTestFinished(stop);
    for (let day = 0; day < 4; day++) {
      const tallies = Array.from({ length: 1_000 }, (_, index) => ({
        writer: "w",
        period: PERIOD,
        backend: `backend-${index}`,
        usage: { apiRequests: day + 1, egressBytes: 10 * (day + 1), ingressBytes: 1 },
      }));
      await store.merge(tallies, { at: START + (15 + day) * DAY_MS });
    }
    let turns = 0;
    const counting = setInterval(() => turns++, 1);
    const { json } = await get("?by=day");
    clearInterval(counting);
    expect(json.backends).toHaveLength(1_003);
    expect(json.all.total).toEqual({ apiRequests: 4_000, egressBytes: 40_000, ingressBytes: 1_000 });
    expect(turns).toBeGreaterThan(5);
  });

  it("is not there where the store keeps none", async () => {
    const clock = new FakeClock(NOW);
    const app = await compose(configOf("none"), { clock, store: memoryStore() });
    onTestFinished(async () => void (await app.stop({ graceMs: 0 })));
    const { admin } = await app.start();
    for (const path of ["/api/history?by=day", "/api/history?by=hour", "/api/instances"]) {
      expect((await call(admin, path)).status, path).toBe(404);
    }
    expect((await call(admin, "/api/history")).status).toBe(200);
  });
});
