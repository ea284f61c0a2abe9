import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ByteText } from "../../src/admin/byte-text.ts";
import { inOnePeriod } from "../../src/admin/in-one-period.ts";
import { jsonPieces } from "../../src/admin/json-pieces.ts";
import { Turns } from "../../src/admin/turns.ts";
import { startApp, testConfig } from "../support/app.ts";

/** Works for longer than a turn may take. */
function work(): void {
  const endMs = performance.now() + 6;
  while (performance.now() < endMs);
}

describe("work in turns", () => {
  it("lets everything else have its turn in between", async () => {
    let others = 0;
    let busy = true;
    const other = (async () => {
      while (busy) {
        await setImmediate();
        others += 1;
      }
    })();
    await new Turns().each([1, 2, 3, 4, 5], work);
    busy = false;
    await other;
    expect(others).toBeGreaterThanOrEqual(5);
  });

  it("lets everything else have its turn also between short pieces of work", async () => {
    const turns = new Turns();
    const done: string[] = [];
    const works = ["a", "b", "c"].map((item) => turns.each([item], (visited) => done.push(visited)));
    const other = (async () => {
      while (!done.includes("c")) {
        await setImmediate();
        done.push("other");
      }
    })();
    await Promise.all([...works, other]);
    for (const item of ["b", "c"]) expect(done[done.indexOf(item) - 1]).toBe("other");
  });

  it("is done one after the other, in order, also after one that failed", async () => {
    const turns = new Turns();
    const done: string[] = [];
    const note = (item: string): void => {
      work();
      done.push(item);
    };
    const failed = turns.each(["a1", "a2"], (item) => {
      note(item);
      if (item === "a2") throw new Error("no a2");
    });
    await Promise.all([
      expect(failed).rejects.toThrow("no a2"),
      turns.each(["b1", "b2"], note),
      turns.each(["c"], note),
    ]);
    expect(done).toEqual(["a1", "a2", "b1", "b2", "c"]);
  });

  it("encodes as UTF-8 whatever it is given, in however many pieces", async () => {
    const pieces = ["", "é", "😀".repeat(50_000), "x".repeat(100_000), "\n", ...Array(5_000).fill("ü😀\ud800")];
    const bytes = Buffer.concat(await new Turns().encode(pieces));
    expect(bytes.equals(Buffer.from(pieces.join("")))).toBe(true);
    expect(Buffer.concat(new ByteText().chunks()).length).toBe(0);
  });
});

it("JSON in pieces is the JSON of the whole", () => {
  for (const [object, list] of [
    [{}, []],
    [{ a: 1 }, [{ b: "\n" }]],
    [{ a: { b: [] } }, [1, "x", null]],
  ] as const) {
    expect(JSON.parse([...jsonPieces(object, "list", list)].join(""))).toEqual({ ...object, list });
  }
});

it("what is made while a period ends is made again of the next one", async () => {
  const keys = ["2026-01", "2026-02"];
  const period = () => ({ key: keys[0] ?? "", start: 0, end: 1 });
  let made = 0;
  const result = await inOnePeriod({ period }, async () => {
    made += 1;
    const { key } = period();
    if (made === 1) keys.shift();
    return key;
  });
  expect([result, made]).toEqual(["2026-02", 2]);
});

it("of 10,000 backends a scrape, a report and an audit are made while others are answered", async () => {
  const names = Array.from({ length: 10_000 }, (_, index) => `backend ${index}`);
  const limits = { apiRequests: 10, egressBytes: 10 };
  const backends = names.map((name) => ({ name, url: new URL("http://127.0.0.1:9"), limits }));
  const { admin } = await startApp(testConfig(backends));
  const paths = ["/metrics", "/api/usage", "/api/audit", "/api/events"];
  const orders: string[][] = [];
  for (const path of paths) {
    const heads: string[] = [];
    const ask = async (path: string): Promise<Response> => {
      const response = await fetch(`http://127.0.0.1:${admin.port}${path}`);
      heads.push(path);
      return response;
    };
    // The bodies come later: what is asked is whether the long one was made in one go.
    const [long, short] = await Promise.all([ask(path), ask("/healthz")]);
    orders.push(heads);
    expect([long.status, short.status]).toEqual([200, 200]);
    await Promise.all([long.body?.cancel(), short.body?.cancel()]);
  }
  expect(orders).toEqual(paths.map((path) => ["/healthz", path]));
});
