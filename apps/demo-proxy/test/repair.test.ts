import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock, type Usage, utcMonths } from "@usage/counter-core";
import { bucketOf, RedisSharedCounts } from "@usage/counter-redis";
import { startPostgres, startRedis } from "@usage/test-servers";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { StoreConfig } from "../src/config/proxy-config.ts";
import { openCorrectableStore } from "../src/repair/correctable-store.ts";
import { startApp } from "./support/app.ts";
import { call } from "./support/call.ts";
import { Child } from "./support/child.ts";
import {
  countsKey,
  NOTHING,
  report,
  type Servers,
  SOON,
  share,
  startTraffic,
  sumsIn,
} from "./support/shared-proxies.ts";
import { tempFolder } from "./support/temp-folder.ts";

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

const POISON = 9_000_000_000_000_000;
const PERIOD = new Date().toISOString().slice(0, 7);

interface Ended {
  readonly code: unknown;
  readonly output: string;
  readonly errors: string;
}

/** Runs the command to its end, where `proxy.yaml` is. */
async function runRepair(folder: string, ...args: readonly string[]): Promise<Ended> {
  const child = new Child("src/repair/main.ts", ["--config", "proxy.yaml", ...args], folder);
  return { code: await child.exit(), output: child.output, errors: child.errors };
}

/** Shares requests as an instance does. */
async function shareAs(
  writer: string,
  { prefix, name, apiRequests }: { readonly prefix: string; readonly name: string; readonly apiRequests: number },
): Promise<void> {
  const client = new Redis(servers.redis.url);
  await once(client, "ready");
  const counts = new RedisSharedCounts({ client, prefix, dimensions: ["apiRequests"], clock: systemClock });
  const bucket = { period: utcMonths.at(Date.now()), number: bucketOf(name) };
  await counts.merge(bucket, writer, [{ backend: name, writer, own: [apiRequests] }]);
  client.disconnect();
}

describe("a count that somebody poisoned", () => {
  it("is shown, and set right in the store and in Redis by one command, once every instance is stopped", async () => {
    const { config, upstream, name, prefix } = await share(servers, { apiRequests: 1_000 });
    const folder = tempFolder();
    const { counter, store } = config;
    const backends = [{ name, url: "http://127.0.0.1:1" }];
    writeFileSync(join(folder, "proxy.yaml"), JSON.stringify({ counter, store, backends }));
    const key = countsKey(prefix, name);
    const first = await startApp(config);
    for (let i = 0; i < 5; i++) await call(first.proxy, "/objects/10");
    await vi.waitFor(async () => expect((await report(first.admin)).backend.unpushed).toEqual(NOTHING), SOON);
    await first.app.stop({ graceMs: 0 });
    // What an instance shared and did not live to store, and what nobody counted.
    await shareAs("dead", { prefix, name, apiRequests: 7 });
    await shareAs("poison", { prefix, name, apiRequests: POISON });
    const second = await startApp(config);
    for (let i = 0; i < 2; i++) await second.app.flusher.flush();
    expect((await call(second.proxy, "/objects/10")).status).toBe(429);
    const history = () => second.app.store.history({ backend: name });
    expect(await history()).toMatchObject([{ usage: { apiRequests: POISON + 12 } }]);

    const correction = ["--writer", "poison", "--dimension", "apiRequests", "--amount", "0"];
    // One that takes requests all the same.
    const third = await startApp({ ...config, backends: [{ name, url: config.backends[0]?.url as URL, limits: {} }] });
    const traffic = startTraffic(third.proxy);
    const busy = await runRepair(folder, "--backend", name, ...correction, "--yes");
    expect(busy).toMatchObject({
      code: 1,
      errors: expect.stringMatching(/counts; stop every instance.*Nothing was changed/),
    });
    await traffic.stop();
    await vi.waitFor(async () => expect((await report(third.admin)).backend.unpushed).toEqual(NOTHING), SOON);
    const idle = await runRepair(folder, "--backend", name, ...correction, "--yes");
    expect(idle).toMatchObject({
      code: 1,
      errors: expect.stringMatching(/has shared its counts again; stop every instance/),
    });
    await third.app.stop({ graceMs: 0 });
    await second.app.stop({ graceMs: 0 });
    // They may have stored it again before they ended.
    await shareAs("poison", { prefix, name, apiRequests: POISON });

    const shown = await runRepair(folder, "--backend", name);
    expect(shown).toMatchObject({ code: 0, errors: "" });
    expect(shown.output).toMatch(new RegExp(`writer +dimension +in Redis +stored\npoison +apiRequests +${POISON} +`));
    expect(shown.output).toMatch(/^dead +apiRequests +(7|-) +7$/m);
    expect(shown.output).toContain("Nothing was changed.");
    expect(String(await servers.redis.command("HGET", key, "/poison")).split(" ")).toContain(String(POISON));

    const done = await runRepair(folder, "--backend", name, "--period", PERIOD, ...correction, "--yes");
    expect(done).toMatchObject({ code: 0, errors: "" });
    const [before = "", after = ""] = done.output.split(/(?=^.*, after$)/m);
    expect(before).toContain("poison");
    expect(after).not.toContain("poison");
    expect(await servers.redis.command("EXISTS", key)).toBe(0);

    const truth = upstream.measured().apiRequests + 7;
    const last = await startApp(config);
    expect((await report(last.admin)).backend.usage.apiRequests).toBe(truth);
    await last.app.flusher.flush();
    await last.app.flusher.flush();
    expect(await last.app.store.history({ backend: name })).toMatchObject([{ usage: { apiRequests: truth } }]);
    expect(await sumsIn(servers.redis, key)).toMatchObject({ apiRequests: truth });
  });

  it("is set to what was really counted in a store that is not shared", async () => {
    const folder = tempFolder();
    const yaml = {
      store: { kind: "sqlite", file: "usage.db" },
      backends: [{ name: "oci", url: "http://127.0.0.1:1" }],
    };
    writeFileSync(join(folder, "proxy.yaml"), JSON.stringify(yaml));
    const { openSqliteStore } = await import("@usage/store-drizzle/sqlite");
    await using store = await openSqliteStore(join(folder, "usage.db"), { timeline: true });
    await store.merge([
      { writer: "w", period: "2026-01", backend: "oci", usage: { apiRequests: POISON, egressBytes: 5 } },
      { writer: "v", period: "2026-01", backend: "oci", usage: { apiRequests: 3 } },
      { writer: "w", period: "2026-02", backend: "oci", usage: { apiRequests: 4 } },
    ]);
    const args = ["--backend", "oci", "--period", "2026-01", "--dimension", "apiRequests", "--yes"];
    expect(await runRepair(folder, ...args, "--writer", "w", "--amount", "40")).toMatchObject({ code: 0, errors: "" });
    expect(await store.history({})).toEqual([
      { period: "2026-01", backend: "oci", usage: { apiRequests: 43, egressBytes: 5 } },
      { period: "2026-02", backend: "oci", usage: { apiRequests: 4 } },
    ]);
    // The hours, too, have no more than that.
    const hours = await store.timeline?.("2026-01", { step: "hour" });
    expect(hours?.map(({ usage }) => usage)).toEqual([{ apiRequests: 43, egressBytes: 5 }]);
    const misspelt = await runRepair(folder, ...args, "--writer", "nobody", "--amount", "1");
    expect(misspelt).toMatchObject({ code: 1, errors: "nobody has no apiRequests of oci in 2026-01\n" });
  });

  it.each(["sqlite", "postgres"] as const)("takes what is too much from the latest hours, on %s", async (kind) => {
    const config: StoreConfig =
      kind === "sqlite" ? { kind, file: join(tempFolder(), "usage.db") } : { kind, url: servers.postgres.url };
    const { store, correct } = await openCorrectableStore(config);
    onTestFinished(() => store.close());
    const [period, backend, other] = ["2026-01", `repaired-${randomUUID()}`, `other-${randomUUID()}`];
    const hour = (number: number): number => Date.UTC(2026, 0, 10, number);
    const use = (writer: string, name: string, usage: Partial<Usage>, at: number) =>
      store.merge([{ writer, period, backend: name, usage }], { at });
    await use("w", backend, { apiRequests: 10, egressBytes: 5 }, hour(1));
    await use("w", backend, { apiRequests: 30 }, hour(2));
    await use("v", backend, { apiRequests: 5 }, hour(3));
    await use("w", other, { apiRequests: 9 }, hour(4));
    await use("w", backend, { apiRequests: 100, egressBytes: 6 }, hour(4));
    const hours = async () => {
      const steps = await store.timeline?.(period, { step: "hour", backends: [backend, other] });
      return steps?.map(({ start, backend: name, usage }) => [name === other ? "other" : start, usage]);
    };
    const before = [
      [hour(1), { apiRequests: 10, egressBytes: 5 }],
      [hour(2), { apiRequests: 20 }],
      [hour(3), { apiRequests: 5 }],
    ];
    const last = [
      ["other", { apiRequests: 9 }],
      [hour(4), { apiRequests: 70, egressBytes: 1 }],
    ];
    expect(await hours()).toEqual([...before, ...last]);
    await correct({ period, backend, dimension: "apiRequests", writer: "w", amount: 12 });
    expect(await store.history({ backend })).toMatchObject([{ usage: { apiRequests: 17, egressBytes: 6 } }]);
    expect(await hours()).toEqual([
      before[0],
      [hour(2), { apiRequests: 7 }],
      [hour(3), { apiRequests: 0 }],
      last[0],
      [hour(4), { apiRequests: 0, egressBytes: 1 }],
    ]);
  });

  it.each([
    [["--backend", ""], "--backend NAME is missing"],
    [["--backend", "oci", "--period", "2026-13"], "--period must be a month"],
    [["--backend", "oci", "--writer", "w"], "--writer, --dimension and --amount belong together"],
    [["--backend", "oci", "--writer", "w", "--dimension", "d", "--amount", "9e15"], "--amount must be a whole number"],
    [["--forget"], "Unknown option '--forget'"],
  ])("is left alone where the command is wrong: %j", async (args, complaint) => {
    const { code, errors } = await runRepair(tempFolder(), ...args);
    expect(code).toBe(2);
    expect(errors).toContain(complaint);
    expect(errors).toContain("Usage: usage-proxy-repair --config FILE");
  });
});
