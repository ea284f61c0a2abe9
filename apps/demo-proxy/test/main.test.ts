import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import Database from "better-sqlite3";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import manifest from "../package.json" with { type: "json" };
import { startUpstream } from "./support/app.ts";
import { call } from "./support/call.ts";
import { Child } from "./support/child.ts";
import { startHeldUpstream } from "./support/held-upstream.ts";
import { startProxy, writeConfig } from "./support/running-proxy.ts";
import { tempFolder } from "./support/temp-folder.ts";

/** A folder with a configuration on free ports, whose flush interval is the default unless told. */
function folderFor(upstream: URL, flush = "{}", limits = "{}"): string {
  const folder = tempFolder();
  writeConfig(folder, `flush: ${flush}\nbackends: [{ name: oci, url: "${upstream.href}", limits: ${limits} }]`);
  return folder;
}

const NEVER = "{ intervalMs: 2147483647 }";

/** What the SQLite file in a folder holds, by dimension. */
function stored(folder: string): Record<string, number> {
  const database = new Database(join(folder, "usage.db"), { readonly: true });
  try {
    const rows = database
      .prepare<[], { dimension: string; amount: number }>("select dimension, amount from usage_totals")
      .all();
    return Object.fromEntries(rows.map(({ dimension, amount }) => [dimension, amount]));
  } finally {
    database.close();
  }
}

describe.each(["SIGTERM", "SIGINT"] as const)("on %s the proxy", (signal) => {
  it("lets running requests end, stores everything, and exits 0", async () => {
    const upstream = await startHeldUpstream();
    const folder = folderFor(upstream.url, NEVER);
    const { child, proxy } = await startProxy(folder);
    const running = call(proxy, "/", { method: "PUT", body: "12345" });
    const response = await upstream.next();
    child.signal(signal);
    expect(await child.event("stopping")).toMatchObject({ signal, inFlight: 1 });
    response.end("123");
    expect((await running).text).toBe("123");
    expect(await child.exit()).toBe(0);
    expect(child.errors).toBe("");
    expect(child.log.at(-1)).toMatchObject({ event: "stopped", stored: true, msg: "everything is stored" });
    expect(stored(folder)).toEqual({ apiRequests: 1, egressBytes: 3, ingressBytes: 5 });
  });

  it("ends at once when a second one comes", async () => {
    const upstream = await startHeldUpstream();
    const { child, proxy } = await startProxy(folderFor(upstream.url));
    const running = call(proxy, "/").catch(() => "cut");
    await upstream.next();
    const ended = child.exit();
    const pressing = setInterval(() => child.signal(signal), 100);
    expect(await ended).toBe(signal === "SIGINT" ? 130 : 143);
    clearInterval(pressing);
    expect(await running).toBe("cut");
  });
});

describe("a proxy whose store fails at the end", () => {
  it("says what is not stored, by period and backend, and exits 1", async () => {
    const upstream = await startUpstream();
    const folder = folderFor(upstream.url, NEVER);
    const { child, proxy, admin } = await startProxy(folder);
    await call(proxy, "/objects/100");
    await call(admin, "/api/flush", { method: "POST" });
    await call(proxy, "/objects/10");
    const database = new Database(join(folder, "usage.db"));
    database.exec("drop view usage_totals; drop table usage_tallies");
    database.close();
    child.signal("SIGTERM");
    expect(await child.exit()).toBe(1);
    const period = new Date().toISOString().slice(0, 7);
    const [failed, ended, ...left] = child.problems;
    expect(failed).toMatchObject({
      event: "flush-failed",
      failures: 1,
      error: expect.stringContaining("usage_tallies"),
    });
    expect(failed?.msg).toMatch(/^flush failed, the counts are kept and tried again: .*usage_tallies/);
    expect(ended).toMatchObject({ level: "error", event: "stopped", stored: false });
    const usage = { apiRequests: 1, egressBytes: 10, ingressBytes: 0 };
    const msg = `not stored: ${period} "oci": apiRequests 1, egressBytes 10, ingressBytes 0`;
    expect(left).toMatchObject([{ level: "error", event: "unstored", period, backend: "oci", usage, msg }]);
  });
});

describe("a proxy that was killed", () => {
  it("continues where the store stands when it starts again", async () => {
    const upstream = await startUpstream();
    const folder = folderFor(upstream.url, "{}", "{ apiRequests: 3 }");
    const first = await startProxy(folder);
    for (const _ of [1, 2]) await call(first.proxy, "/objects/10");
    // The default interval on SQLite, one second, is what a kill can lose.
    await vi.waitFor(() => expect(stored(folder)).toEqual({ apiRequests: 2, egressBytes: 20 }), { timeout: 15_000 });
    first.child.signal("SIGKILL");
    expect(await first.child.exit()).toBe("SIGKILL");

    const second = await startProxy(folder);
    expect((await call(second.proxy, "/objects/10")).status).toBe(200);
    expect((await call(second.proxy, "/objects/10")).status).toBe(429);
    second.child.signal("SIGTERM");
    expect(await second.child.exit()).toBe(0);
    expect(stored(folder)).toEqual({ apiRequests: 3, egressBytes: 30 });
    expect(upstream.measured()).toEqual({ apiRequests: 3, egressBytes: 30, ingressBytes: 0 });
  });
});

describe("two proxies on one SQLite file", () => {
  it("see each other's usage after a flush, and store the sum", async () => {
    const upstream = await startUpstream();
    const folder = folderFor(upstream.url, "{ intervalMs: 50 }", "{ apiRequests: 40 }");
    const proxies = await Promise.all([startProxy(folder), startProxy(folder)]);
    const all = Array.from({ length: 15 }, () => proxies.map(({ proxy }) => call(proxy, "/objects/1000"))).flat();
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual(all.map(() => 200));
    for (const { admin } of proxies) {
      const usage = async () => (await call(admin, "/api/usage")).json;
      await vi.waitFor(
        async () => expect(await usage()).toMatchObject({ backends: [{ usage: { apiRequests: 30 } }] }),
        15_000,
      );
    }
    for (const { child } of proxies) child.signal("SIGTERM");
    for (const { child } of proxies) expect([await child.exit(), child.errors]).toEqual([0, ""]);
    expect(stored(folder)).toEqual({ apiRequests: 30, egressBytes: 30_000 });
  });
});

describe("a proxy that cannot start", () => {
  it("names the line of a mistake in the configuration, and exits 1", async () => {
    const folder = tempFolder();
    writeFileSync(join(folder, "proxy.yaml"), "backends:\n  - name: a\n    url: nowhere\n");
    const child = new Child("src/main.ts", ["--config", "proxy.yaml"], folder);
    expect(await child.exit()).toBe(1);
    expect(child.errors).toBe(
      "proxy.yaml:3:10 backends[0].url: expected an address such as https://s3.example.com/bucket\n",
    );
  });

  it("says that the file is missing, the store cannot be used, or the port is taken", async () => {
    const folder = folderFor(new URL("http://127.0.0.1:1"));
    const missing = new Child("src/main.ts", ["--config", "nope.yaml"], folder);
    expect([await missing.exit(), missing.errors]).toEqual([1, "nope.yaml: cannot be read (ENOENT); check the path\n"]);

    writeFileSync(
      join(folder, "usage.db"),
      "this is no database, but a text that is long enough to be taken for one".repeat(20),
    );
    const blocked = new Child("src/main.ts", ["--config", "proxy.yaml"], folder);
    expect(await blocked.exit()).toBe(1);
    expect(blocked.errors).toContain(`the store (SQLite ${join(folder, "usage.db")}) cannot be used: `);

    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    onTestFinished(() => void taken.close());
    const address = taken.address();
    const port = typeof address === "object" ? address?.port : 0;
    const yaml = `listen: 127.0.0.1:${port}\nstore: { kind: sqlite, file: other.db }\nbackends: [{ name: a, url: "http://x" }]\n`;
    writeFileSync(join(folder, "proxy.yaml"), `admin: { listen: 127.0.0.1:0 }\n${yaml}`);
    const clash = new Child("src/main.ts", ["--config", "proxy.yaml"], folder);
    expect(await clash.exit()).toBe(1);
    expect(clash.errors).toBe(
      `the proxy cannot listen on 127.0.0.1:${port}: another process does; stop it, or configure another port\n`,
    );
  });
});

describe("the command line", () => {
  it("shows its help, and exits 2 when it is used wrongly", async () => {
    const folder = tempFolder();
    const help = new Child("src/main.ts", ["--help"], folder);
    const wrong = [[], ["--config"], ["--confg", "x"], ["proxy.yaml"]].map(
      (args) => new Child("src/main.ts", args, folder),
    );
    expect([await help.exit(), help.errors]).toEqual([0, ""]);
    expect(help.output).toMatch(/^Usage: usage-proxy --config FILE/);
    for (const child of wrong) {
      expect(await child.exit()).toBe(2);
      expect(child.errors).toContain("Usage: usage-proxy --config FILE");
    }
  });

  it("says which version it is", async () => {
    const child = new Child("src/main.ts", ["--version"], tempFolder());
    expect([await child.exit(), child.errors]).toEqual([0, ""]);
    expect(child.output).toBe(`usage proxy ${manifest.version} on Node ${process.version}\n`);
  });

  it("checks a configuration as the start would, with exit code 0 or 1, and starts nothing", async () => {
    const folder = tempFolder();
    const yaml = 'backends: [{ name: a, url: "http://127.0.0.1:1" }]\nstore: { kind: sqlite, file: "${DB:-x.db}" }\n';
    writeFileSync(join(folder, "good.yaml"), yaml);
    writeFileSync(join(folder, "bad.yaml"), `${yaml}routing: nowhere\nflush: { intervalMs: "\${NONE}" }\n`);
    const good = new Child("src/main.ts", ["--check", "good.yaml"], folder, { DB: "y.db" });
    expect([await good.exit(), good.errors]).toEqual([0, ""]);
    expect(good.output).toBe(
      `good.yaml: valid: 1 backend; counter local; store SQLite ${join(folder, "y.db")}, flushed every 1000 ms\n`,
    );
    const started = new Child("src/main.ts", ["--config", "bad.yaml"], folder);
    const bad = new Child("src/main.ts", ["--check", "--config", "bad.yaml"], folder);
    expect([await bad.exit(), await started.exit(), bad.output]).toEqual([1, 1, ""]);
    expect(bad.errors.split("\n")).toEqual([
      'bad.yaml:3:10 routing: expected pack or spread, got "nowhere"',
      expect.stringMatching(/^bad\.yaml:4:22 flush\.intervalMs: the environment variable NONE is not set/),
      "",
    ]);
    expect(started.errors).toBe(bad.errors);
    const missing = new Child("src/main.ts", ["--check", "nope.yaml"], folder);
    expect([await missing.exit(), missing.errors]).toEqual([1, "nope.yaml: cannot be read (ENOENT); check the path\n"]);
    expect(readdirSync(folder).sort()).toEqual(["bad.yaml", "good.yaml"]);
  });

  it("takes paths relative to where the user stands, not to where a package manager runs it", async () => {
    const upstream = await startUpstream();
    const folder = folderFor(upstream.url);
    const child = new Child("src/main.ts", ["--config", "./proxy.yaml"], tempFolder(), { INIT_CWD: folder });
    const { config, msg } = await child.event("start");
    expect(config).toMatchObject({ store: `SQLite ${join(folder, "usage.db")}`, flush: { intervalMs: 1_000 } });
    expect(msg).toContain(`store SQLite ${join(folder, "usage.db")}, flushed every 1000 ms`);
  });

  it("goes on when nobody reads its output any more", async () => {
    const upstream = await startUpstream();
    const folder = folderFor(upstream.url);
    const { child, proxy } = await startProxy(folder);
    child.process.stdout?.destroy();
    child.process.stderr?.destroy();
    await call(proxy, "/objects/5");
    child.signal("SIGTERM");
    expect(await child.exit()).toBe(0);
    expect(stored(folder)).toEqual({ apiRequests: 1, egressBytes: 5 });
  });
});
