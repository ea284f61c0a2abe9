import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { startRedis } from "@usage/test-servers";
import Database from "better-sqlite3";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { audit, readStored, renderAudit } from "../demo/audit.ts";
import { readCommandLine } from "../demo/command-line.ts";
import { writeHistory } from "../demo/history.ts";
import { portOrAnother } from "../demo/ports.ts";
import { Receiver } from "../demo/receiver.ts";
import { scenarioOf } from "../demo/scenario.ts";
import { Screen } from "../demo/screen.ts";
import { bar, type DemoView, paint, renderLine, renderTable } from "../demo/table.ts";
import { sign } from "../src/webhooks/sign.ts";
import { startApp, startUpstream, testConfig } from "./support/app.ts";
import { Child } from "./support/child.ts";
import { tempFolder } from "./support/temp-folder.ts";

const plain = paint(false);

function view(requests: number, refused = 0): DemoView {
  const limits = { apiRequests: 100, egressBytes: 2_097_152 };
  const usage = { apiRequests: requests, egressBytes: 1_048_576, ingressBytes: 512 };
  return {
    elapsedMs: 61_999,
    period: "2026-01",
    backends: [
      { name: "oci", open: requests < 100, usage, limits },
      { name: "b2", open: true, usage: { apiRequests: 0, egressBytes: 0, ingressBytes: 0 }, limits },
    ],
    answers: { served: 1_234, refused, failed: 0, broken: 0 },
    processes: ["one up", "two killed"],
    story: [{ atMs: 1_000, text: "one thing" }],
    deliveries: Array.from({ length: 20 }, (_, n) => ({ atMs: 2_000, text: `delivery ${n}` })),
  };
}

/** The processes that were told of a folder: the proxies of a demo, and the shell that ends its Redis. */
function processesOf(folder: string): string[] {
  const { stdout } = spawnSync("ps", ["-eo", "args"], { encoding: "utf8" });
  return stdout.split("\n").filter((line) => line.includes(folder));
}

/** Several demos at once would find the same ports free. */
async function takePorts(): Promise<void> {
  for (const port of [8080, 8081, 8090, 8091]) {
    const taken = createServer().listen(port, "127.0.0.1");
    await once(taken, "listening").catch(() => "somebody else has it, which is as good");
    onTestFinished(() => void taken.close());
  }
}

function start(...args: readonly string[]): { demo: Child; folder: string } {
  const folder = tempFolder();
  return { demo: new Child("demo/main.ts", args, folder, { TMPDIR: folder }), folder };
}

describe("the demo", () => {
  // Fetched where none is installed: the demo takes one only where it is at hand.
  beforeAll(async () => (await startRedis()).stop());

  it("tells its story, with Redis and without, and its audit holds", async () => {
    await takePorts();
    const runs = [start("--seconds", "6"), start("--seconds", "6", "--no-redis")];
    for (const { demo, folder } of runs) {
      expect([await demo.exit(), demo.errors]).toEqual([0, ""]);
      const { output } = demo;
      expect(output).toMatch(/^ {2}dashboard {2}http:\/\/127\.0\.0\.1:\d+\/ {3}\(port 8081 is taken\)$/m);
      expect(output).not.toMatch(/127\.0\.0\.1:80[89][01]\b/);
      expect(output).toContain("11 months of history");
      expect(output).toMatch(/oci is full: b2 gets the requests[\s\S]*b2 is full: r2 gets the requests/);
      expect(output).toMatch(
        /kill -9 \d+: proxy two is gone[\s\S]*proxy two is started again, and knows of \d+ requests/,
      );
      for (const part of [50, 80, 100]) {
        const once = new RegExp(
          `^ {2}00:\\d\\d {2}webhook: oci has used ${part} % of its requests: \\d+ of 250$`,
          "gm",
        );
        expect(output.match(once)).toHaveLength(1);
      }
      expect(output).not.toContain("wrong signature");
      expect(output).toMatch(/the end: [1-9]\d* requests were refused/);
      // Three dimensions of three backends, and of three clients.
      expect(output.match(/(equal|\(kill\))$/gm)).toHaveLength(18);
      expect(output).toMatch(/^ {2}partner apiRequests +[1-9]\d* /m);
      expect(output).toMatch(/lost what it had counted[\s\S]*by backend .*\n {2}by client .*\n {2}at most /);
      expect(output).toContain("It agrees, to the byte.");
      expect(output).not.toContain("\x1b");
      expect(
        Math.max(...output.split("\n").map((line) => (line.includes(folder) ? 0 : line.length))),
      ).toBeLessThanOrEqual(80);
      expect(processesOf(folder)).toEqual([]);
    }
    const wiped = /Redis was killed[\s\S]*Redis has all counts again: \d+ requests/;
    expect(runs.map(({ demo }) => wiped.test(demo.output))).toEqual([true, false]);
  });

  it("ends in order on Ctrl-C, also while its proxies start and between two acts, and leaves no process when it is killed", async () => {
    await takePorts();
    const [early, killed, lost] = [start(), start("--seconds", "6"), start("--seconds", "6")];
    await early.demo.line(/(A month in two minutes)/);
    early.demo.signal("SIGINT");
    await lost.demo.line(/(served)/);
    // Two proxies, and who ends Redis.
    expect(processesOf(lost.folder)).toHaveLength(3);
    lost.demo.signal("SIGKILL");
    await killed.demo.line(/(kill -9)/);
    killed.demo.signal("SIGINT");
    expect([await early.demo.exit(), early.demo.errors]).toEqual([130, ""]);
    expect(early.demo.output).toContain("Ended before a request was sent.");
    expect([await killed.demo.exit(), killed.demo.errors]).toEqual([0, ""]);
    expect(killed.demo.output).toContain("It agrees, to the byte.");
    expect([early, killed].flatMap(({ folder }) => processesOf(folder))).toEqual([]);
    await expect.poll(() => processesOf(lost.folder)).toEqual([]);
  });

  it.each([
    [["--seconds", "soon"], '--seconds must be a number from 5 to 3600, got "soon"'],
    [["--seconds", "1"], '--seconds must be a number from 5 to 3600, got "1"'],
    [["--fast"], "Unknown option '--fast'"],
  ])("refuses %j", (args, message) => {
    expect(() => readCommandLine(args)).toThrow(message);
  });

  it("says how to do without a Redis that is installed and does not start", async () => {
    const folder = tempFolder();
    await writeFile(join(folder, "redis-server"), "#!/bin/sh\necho broken >&2\nexit 1\n", { mode: 0o755 });
    const demo = new Child("demo/main.ts", [], folder, { TMPDIR: folder, PATH: `${folder}:${process.env.PATH}` });
    expect(await demo.exit()).toBe(1);
    expect(demo.errors).toContain("--no-redis");
  });

  it("takes two minutes and a Redis, unless it is told otherwise", () => {
    expect(readCommandLine([])).toEqual({ seconds: 120, stay: false, redis: true });
    expect(readCommandLine(["--seconds", "9", "--no-redis", "--stay"])).toEqual({
      seconds: 9,
      stay: true,
      redis: false,
    });
    expect(readCommandLine(["--help"])).toBe("help");
  });
});

describe("the receiver", () => {
  it("tells of an event once, and of a delivery that is not signed as it should be", async () => {
    const told: unknown[] = [];
    const receiver = await Receiver.start((event) => told.push(event));
    onTestFinished(() => receiver.close());
    const deliver = async (id: string, secret: string): Promise<number> => {
      const [body, timestamp] = [JSON.stringify({ id }), Math.floor(Date.now() / 1_000)];
      const headers = {
        "webhook-id": id,
        "webhook-timestamp": String(timestamp),
        "webhook-signature": sign(secret, { id, timestamp, body }),
      };
      return (await fetch(receiver.url, { method: "POST", headers, body })).status;
    };
    const { secret } = receiver;
    expect([await deliver("a", secret), await deliver("a", secret), await deliver("b", secret)]).toEqual([
      204, 204, 204,
    ]);
    expect(await deliver("c", `whsec_${Buffer.from("another").toString("base64")}`)).toBe(401);
    expect(told).toEqual([{ id: "a" }, { id: "b" }, null]);
  });
});

describe("the months before", () => {
  it("are eleven, within their limits, and grow", async () => {
    const { tiers } = scenarioOf(120);
    const file = join(tempFolder(), "usage.db");
    await writeHistory(file, tiers, Date.parse("2026-03-31T23:59:59Z"));
    const store = await openSqliteStore(file);
    const rows = await store.history({ backend: "oci" });
    await store.close();
    expect(rows.map(({ period }) => period).sort()).toEqual([
      ...["2025-04", "2025-05", "2025-06", "2025-07", "2025-08", "2025-09", "2025-10", "2025-11", "2025-12"],
      ...["2026-01", "2026-02"],
    ]);
    const requests = rows.map(({ usage }) => usage.apiRequests ?? 0);
    expect(Math.max(...requests)).toBeLessThan(1_000);
    expect(Math.max(...requests)).toBeGreaterThan(2 * Math.min(...requests));
  });
});

describe("the audit", () => {
  const usage = { apiRequests: 1, egressBytes: 2, ingressBytes: 3 };

  it("agrees when upstream, proxy and SQLite do", () => {
    const same = new Map([["oci", usage]]);
    expect(audit({ measured: same, counted: same, stored: same }).map(({ agrees }) => agrees)).toEqual([
      true,
      true,
      true,
    ]);
  });

  it.each([
    ["the upstream", 0],
    ["the proxy", 1],
    ["SQLite", 2],
  ])("finds a single byte that only %s knows", (_, who) => {
    const sources = [usage, usage, usage].map((same, index) => {
      return new Map([["oci", index === who ? { ...same, egressBytes: 3 } : same]]);
    });
    const [measured = new Map(), counted = new Map(), stored = new Map()] = sources;
    const rows = audit({ measured, counted, stored });
    expect(rows.filter(({ agrees }) => !agrees).map(({ dimension }) => dimension)).toEqual(["egressBytes"]);
    expect(renderAudit(rows, plain).filter((line) => line.endsWith("DIFFERENT"))).toHaveLength(1);
  });

  it("takes what is missing as zero, and finds a backend that only the store has", () => {
    const rows = audit({ measured: new Map([["oci", {}]]), counted: new Map(), stored: new Map([["b2", usage]]) });
    expect(rows.filter(({ agrees }) => !agrees).map(({ name }) => name)).toEqual(["b2", "b2", "b2"]);
  });

  it.each([
    ["no more than a killed proxy had moved", 5, true],
    ["more than that", 4, false],
  ])("explains a loss by a kill when it is %s", (_, most, agrees) => {
    const kept = new Map([["oci", { apiRequests: 10 }]]);
    const measured = new Map([["oci", { apiRequests: 15 }]]);
    const rows = audit({ measured, counted: kept, stored: kept, losable: new Map([["oci", { apiRequests: most }]]) });
    expect(rows[0]).toMatchObject({ lost: 5, agrees });
    expect(renderAudit(rows, plain)[1]).toMatch(agrees ? /-5 \(kill\)$/ : /DIFFERENT$/);
  });

  it("explains what a killed proxy had counted beforehand by requests that nobody answered", () => {
    const kept = new Map([["oci", { apiRequests: 10 }]]);
    const measured = new Map([["oci", { apiRequests: 9 }]]);
    const losable = new Map([["oci", { apiRequests: 3 }]]);
    const agrees = (unfinished: number): boolean | undefined =>
      audit({ measured, counted: kept, stored: kept, losable, unfinished: { apiRequests: unfinished } })[0]?.agrees;
    expect([agrees(0), agrees(1)]).toEqual([false, true]);
  });

  it("adds up what is stored over all writers, from a period on", async () => {
    const upstream = await startUpstream();
    const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }]);
    const { app } = await startApp(config);
    const tally = { writer: "a", backend: "oci", period: "2026-01", usage: { apiRequests: 1 } };
    await app.store.merge([
      tally,
      { ...tally, period: "2026-02" },
      { ...tally, period: "2025-12" },
      { ...tally, writer: "b", usage: { egressBytes: 9 } },
    ]);
    const file = config.store.kind === "sqlite" ? config.store.file : "";
    expect(readStored(file, "2026-01")).toEqual(new Map([["oci", { apiRequests: 2, egressBytes: 9 }]]));
    const first = readStored(file, "2026-01", "usage_tallies", "2026-02");
    expect(first).toEqual(new Map([["oci", { apiRequests: 1, egressBytes: 9 }]]));
    expect(() => new Database(file, { readonly: true }).close()).not.toThrow();
  });
});

describe("the table", () => {
  it("has lines that begin and end in the same columns, whatever the numbers are", () => {
    const [few, many] = [renderTable(view(0), plain), renderTable(view(99_999, 5_000), plain)];
    expect(few).toHaveLength(many.length);
    const bars = [...few, ...many].filter((line) => line.includes("│"));
    expect(bars).toHaveLength(12);
    expect(new Set(bars.map((line) => [line.indexOf("│"), line.lastIndexOf("│")].join()))).toHaveLength(1);
    expect(Math.max(...bars.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(renderTable(view(0), plain, 23).length).toBeLessThanOrEqual(23);
  });

  it("names the backend that takes the traffic, those that wait, and those that are full", () => {
    const text = (requests: number) => renderTable(view(requests), plain).join("\n");
    expect(text(10)).toMatch(/oci +active[\s\S]*b2 +waiting/);
    expect(text(100)).toMatch(/oci +full[\s\S]*b2 +active/);
  });

  it("shows human units, percents and the time", () => {
    const text = renderTable(view(50), plain).join("\n");
    expect(text).toMatch(/egress +│█{11} +│ +1\.0 MiB \/ 2\.0 MiB +50 %/);
    expect(text).toMatch(/ingress +│ +│ +512 B \/ unlimited/);
    expect(text).toContain("01:01");
    expect(text).toContain("1,234 served");
    expect(text).toContain("one up, two killed");
  });

  it("has the newest of what happened and of what was delivered, more of it on a taller terminal", () => {
    const shown = (rows: number): string => renderTable(view(0), plain, rows).join("\n");
    expect(shown(23)).toMatch(/ {2}00:01 {2}one thing\n+ {2}told by webhook/);
    expect(shown(23)).toMatch(/delivery 15[\s\S]*delivery 19$/);
    expect(shown(23)).not.toContain("delivery 14");
    expect(shown(50)).toContain("delivery 12");
    expect(shown(50).split("\n").length).toBeGreaterThan(shown(23).split("\n").length);
  });

  it("has no colours when none are wanted", () => {
    expect(renderTable(view(50), plain).join()).not.toContain("\x1b");
    expect(renderTable(view(50), paint(true)).join()).toContain("\x1b[32m");
  });

  it("fits on one line for logs", () => {
    expect(renderLine(view(50, 7))).toBe("  01:01  oci  50 %   b2   0 %   served 1234   429 7");
  });
});

describe("a bar", () => {
  it.each([
    [0, "    "],
    [0.5, "██  "],
    [0.54, "██▏ "],
    [0.999, "███▉"],
    [1, "████"],
    [7, "████"],
  ])("for %d of a limit is %j", (part, text) => {
    expect(bar(part, 4)).toBe(text);
  });
});

describe("the screen", () => {
  it("draws over what it drew before, in one write, and gives the cursor back", () => {
    const writes: string[] = [];
    const screen = new Screen({
      write(text: string | Uint8Array) {
        writes.push(String(text));
        return true;
      },
    });
    screen.draw(["one", "two"]);
    screen.draw(["three", "four"]);
    screen.close();
    screen.close();
    expect(writes).toEqual([
      "\x1b[?25l\x1b[?7l\rone\x1b[K\n\rtwo\x1b[K\n",
      "\x1b[2A\rthree\x1b[K\n\rfour\x1b[K\n",
      "\x1b[?25h\x1b[?7h",
    ]);
  });
});

describe("a port", () => {
  it("is itself while it is free, otherwise another one", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    expect(await portOrAnother(port)).not.toBe(port);
    server.close();
    await once(server, "close");
    expect(await portOrAnother(port)).toBe(port);
  });
});
