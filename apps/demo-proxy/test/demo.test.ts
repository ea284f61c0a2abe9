import { once } from "node:events";
import { createServer } from "node:net";
import Database from "better-sqlite3";
import { describe, expect, it, onTestFinished } from "vitest";
import { audit, readStored, renderAudit } from "../demo/audit.ts";
import { portOrAny } from "../demo/ports.ts";
import { Screen } from "../demo/screen.ts";
import { bar, type DemoView, paint, renderLine, renderTable } from "../demo/table.ts";
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
    answers: { served: 1_234, refused, failed: 0 },
  };
}

describe("the demo", () => {
  it("ends after --seconds with numbers that agree, and says when a port is taken", async () => {
    const taken = createServer().listen(8080, "127.0.0.1");
    await once(taken, "listening").catch(() => "somebody else has it, which is as good");
    onTestFinished(() => void taken.close());
    const folder = tempFolder();
    const demo = new Child("demo/main.ts", ["--seconds", "3"], folder, { TMPDIR: folder });
    expect([await demo.exit(), demo.errors]).toEqual([0, ""]);
    expect(demo.output).toMatch(/^ {2}proxy {6}http:\/\/127\.0\.0\.1:\d+ {3}\(port 8080 is taken, so it is \d+\)$/m);
    expect(demo.output).toMatch(/^\n {2}dashboard {2}http:\/\/127\.0\.0\.1:\d+\//);
    expect(demo.output).toMatch(/^ {2}usage {6}http:\/\/127\.0\.0\.1:\d+\/api\/usage$/m);
    const [, measured = "0", counted, stored] =
      /^ {2}oci {5}apiRequests +([\d,]+) +([\d,]+) +([\d,]+) {3}equal$/m.exec(demo.output) ?? [];
    expect(Number(measured)).toBeGreaterThan(0);
    expect([counted, stored]).toEqual([measured, measured]);
    expect(demo.output.match(/equal$/gm)).toHaveLength(9);
    expect(demo.output).not.toContain("\x1b");
  });

  it("ends in order on Ctrl-C", async () => {
    const folder = tempFolder();
    const demo = new Child("demo/main.ts", [], folder, { TMPDIR: folder });
    await demo.line(/^00:0\d.*(served [1-9])/m);
    demo.signal("SIGINT");
    expect([await demo.exit(), demo.errors]).toEqual([0, ""]);
    expect(demo.output).toContain("Equal to the last byte.");
  });

  it("refuses a time that is none", async () => {
    const demo = new Child("demo/main.ts", ["--seconds", "soon"], tempFolder());
    expect(await demo.exit()).toBe(1);
    expect(demo.errors).toBe('--seconds must be a number above 0 and at most 2000000, got "soon"\n');
  });
});

describe("the audit", () => {
  const usage = { apiRequests: 1, egressBytes: 2, ingressBytes: 3 };

  it("agrees when upstream, proxy and SQLite do", () => {
    const same = new Map([["oci", usage]]);
    expect(audit(same, same, same).map(({ agrees }) => agrees)).toEqual([true, true, true]);
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
    const rows = audit(measured, counted, stored);
    expect(rows.filter(({ agrees }) => !agrees).map(({ dimension }) => dimension)).toEqual(["egressBytes"]);
    expect(renderAudit(rows, plain).filter((line) => line.endsWith("DIFFERENT"))).toHaveLength(1);
  });

  it("takes what is missing as zero, and finds a backend that only the store has", () => {
    const rows = audit(new Map([["oci", {}]]), new Map(), new Map([["b2", usage]]));
    expect(rows.filter(({ agrees }) => !agrees).map(({ backend }) => backend)).toEqual(["b2", "b2", "b2"]);
  });

  it("adds up what is stored over all periods and writers", async () => {
    const upstream = await startUpstream();
    const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }]);
    const { app } = await startApp(config);
    const tally = { writer: "a", backend: "oci", period: "2026-01", usage: { apiRequests: 1 } };
    await app.store.merge([
      tally,
      { ...tally, period: "2026-02" },
      { ...tally, writer: "b", usage: { egressBytes: 9 } },
    ]);
    const file = config.store.kind === "sqlite" ? config.store.file : "";
    expect(readStored(file)).toEqual(new Map([["oci", { apiRequests: 2, egressBytes: 9 }]]));
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
    expect(Math.max(...bars.map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it("names the backend that takes the traffic, those that wait, and those that are full", () => {
    const text = (requests: number) => renderTable(view(requests), plain).join("\n");
    expect(text(10)).toMatch(/oci +active[\s\S]*b2 +waiting/);
    expect(text(100)).toMatch(/oci +full[\s\S]*b2 +active/);
  });

  it("shows human units, percents and the time", () => {
    const text = renderTable(view(50), plain).join("\n");
    expect(text).toMatch(/egress +│█{15} +│ +1\.0 MiB \/ 2\.0 MiB +50 %/);
    expect(text).toMatch(/ingress +│ +│ +512 B \/ unlimited/);
    expect(text).toContain("01:01");
    expect(text).toContain("1,234 served");
  });

  it("has no colours when none are wanted", () => {
    expect(renderTable(view(50), plain).join()).not.toContain("\x1b");
    expect(renderTable(view(50), paint(true)).join()).toContain("\x1b[32m");
  });

  it("fits on one line for logs", () => {
    expect(renderLine(view(50, 7))).toBe("01:01  oci  50 %   b2   0 %   served 1234   429 7");
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
  it("is itself while it is free, otherwise any", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    expect(await portOrAny(port)).toBe(0);
    server.close();
    await once(server, "close");
    expect(await portOrAny(port)).toBe(port);
  });
});
