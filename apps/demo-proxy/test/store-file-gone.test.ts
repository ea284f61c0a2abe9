import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { startUpstream } from "./support/app.ts";
import { call } from "./support/call.ts";
import { startProxy, writeConfig } from "./support/running-proxy.ts";
import { tempFolder } from "./support/temp-folder.ts";

/** A proxy that flushes when it is told to; its database is in a folder of its own. */
async function start() {
  const upstream = await startUpstream();
  const folder = tempFolder();
  const data = join(folder, "data");
  mkdirSync(data);
  const backends = `[{ name: oci, url: "${upstream.url.href}", limits: {} }]`;
  writeConfig(
    folder,
    `store: { kind: sqlite, file: data/usage.db }\nflush: { intervalMs: 2147483647 }\nbackends: ${backends}`,
  );
  const running = await startProxy(folder);
  const request = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) expect((await call(running.proxy, "/objects/10")).status).toBe(200);
  };
  const post = (path: string) => call(running.admin, path, { method: "POST" });
  return { ...running, data, request, flush: async () => (await post("/api/flush")).status };
}

function storedRequests(data: string): unknown {
  const database = new Database(join(data, "usage.db"), { readonly: true, fileMustExist: true });
  const row = database.prepare("select amount from usage_totals where dimension = 'apiRequests'").get();
  database.close();
  return row;
}

describe("a proxy whose SQLite file is deleted while it runs", () => {
  it("stores all that it counted in a new one, says so, and ends well", async () => {
    const { child, admin, data, request, flush } = await start();
    await request(10);
    expect(await flush()).toBe(200);
    for (const name of readdirSync(data)) rmSync(join(data, name));
    await request(20);
    expect(await flush()).toBe(200);
    expect(storedRequests(data)).toEqual({ amount: 30 });
    const equal = { backend: "oci", dimension: "apiRequests", counted: 30, stored: 30, verdict: "equal" };
    expect((await call(admin, "/api/audit")).json).toMatchObject({
      rows: expect.arrayContaining([expect.objectContaining(equal)]),
    });
    child.signal("SIGTERM");
    expect(await child.exit()).toBe(0);
    expect(child.log.at(-1)).toMatchObject({ event: "stopped", stored: true });
    expect(child.problems).toMatchObject([{ level: "error", event: "store-lost", storedAgain: true }]);
    expect(storedRequests(data)).toEqual({ amount: 30 });
  });

  it("stores it again when it is stopped, though nothing was counted since", async () => {
    const { child, data, request, flush } = await start();
    await request(10);
    expect(await flush()).toBe(200);
    for (const name of readdirSync(data)) rmSync(join(data, name));
    child.signal("SIGTERM");
    expect(await child.exit()).toBe(0);
    expect(child.problems).toMatchObject([{ event: "store-lost" }]);
    expect(storedRequests(data)).toEqual({ amount: 10 });
  });

  it("says what is not stored any more when its whole folder is gone, and exits 1", async () => {
    const { child, data, request, flush } = await start();
    await request(10);
    expect(await flush()).toBe(200);
    rmSync(data, { recursive: true });
    child.signal("SIGTERM");
    expect(await child.exit()).toBe(1);
    const period = new Date().toISOString().slice(0, 7);
    expect(child.problems).toMatchObject([
      { event: "store-lost", storedAgain: false },
      { event: "flush-failed", error: expect.stringContaining("its folder must exist") },
      { event: "stopped", stored: false },
      { event: "unstored", msg: `not stored: ${period} "oci": apiRequests 10, egressBytes 100, ingressBytes 0` },
    ]);
  });
});
