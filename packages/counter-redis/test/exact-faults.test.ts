import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Hold, memoryStore, utcMonths } from "@usage/counter-core";
import type { RedisCounterBackend } from "@usage/counter-redis";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { exactCounter, openings } from "./support/exact.ts";
import { flush } from "./support/flush.ts";
import { redisServer } from "./support/servers.ts";
import { countsKey } from "./support/shared.ts";
import { SOON } from "./support/soon.ts";
import { TappedClient } from "./support/tapped-client.ts";

const LIMIT = 4_000;
const WORKER = fileURLToPath(new URL("support/exact-worker.ts", import.meta.url));

describe("exact limits among processes", () => {
  it("are not passed when some are killed, and lose no more than these may have used; a clean stop loses nothing", async () => {
    const prefix = freshPrefix();
    const redis = await patientClient();
    let admitted = 0;
    const start = async (burst: number, isFirst = false): Promise<ChildProcess> => {
      const args = [inject("redisUrl"), prefix, LIMIT, burst, isFirst].map(String);
      const child = spawn(process.execPath, ["--conditions=@usage/source", WORKER, ...args], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      onTestFinished(() => void child.kill("SIGKILL"));
      let own = 0;
      child.stdout?.on("data", (data: Buffer) => {
        own += data.length;
        admitted += data.length;
      });
      await expect.poll(() => own, SOON).toBeGreaterThan(0);
      return child;
    };
    const first = await start(1, true);
    const [second, third] = await Promise.all([start(2), start(1), start(1)]);
    await expect.poll(() => admitted, SOON).toBeGreaterThan(1_000);
    second?.kill("SIGKILL");
    first.kill("SIGTERM");
    await expect.poll(() => admitted, SOON).toBeGreaterThan(2_000);
    third?.kill("SIGKILL");
    await start(3);
    const key = countsKey(prefix, utcMonths.at(Date.now()).key, "oci");
    const shared = async (): Promise<number[]> => {
      const [sums = "", held = ""] = (await redis.hmget(key, ":s", ":h")).map((text) => text ?? "");
      return [Number(sums.split(" ")[0]), Number(held.split(" ")[0])];
    };
    await expect.poll(async () => (await shared()).reduce((sum, part) => sum + part, 0), SOON).toBe(LIMIT);
    // What is held at rest is what the dead had and did not live to report.
    let last: number[] = [];
    await expect
      .poll(async () => {
        const before = last;
        last = await shared();
        await sleep(500);
        return last.join() === before.join() && last.join() === (await shared()).join();
      }, SOON)
      .toBe(true);
    const [counted = 0, held = 0] = last;
    expect(counted + held).toBe(LIMIT);
    expect(admitted).toBeGreaterThanOrEqual(counted);
    expect(admitted).toBeLessThanOrEqual(LIMIT);
  }, 90_000);
});

describe("exact limits while Redis fails", () => {
  it.each([1, 2, 3])(
    "are not passed, and are used up in the end, in schedule %i",
    async (seed) => {
      const [store, prefix, claim, server] = [memoryStore(), freshPrefix(), openings(), await redisServer()];
      const random = mulberry32(seed);
      const counters: RedisCounterBackend[] = [];
      for (let i = 0; i < 4; i++) {
        const client = await patientClient(server.url, { socketTimeout: 400 });
        counters.push(await exactCounter(store, LIMIT, { prefix, claim, client, leaseMs: 1_000, pushTimeoutMs: 300 }));
      }
      let snapshot = await server.snapshot();
      let admitted = 0;
      let isOver = false;
      const load = (async () => {
        while (!isOver) {
          for (const [i, counter] of counters.entries()) {
            if (random() < 0.3 && counter.tryAddAll("oci", { apiRequests: 1 + (i % 3) })) admitted += 1 + (i % 3);
            const hold = random() < 0.05 ? counter.hold("oci", { apiRequests: 20 }) : undefined;
            if (hold === undefined) continue;
            const used = Math.floor(random() * 21);
            admitted += used;
            void sleep(random() * 200).then(() => hold.settle({ apiRequests: used }));
          }
          expect(admitted).toBeLessThanOrEqual(LIMIT);
          await sleep(5);
        }
      })();
      const flushes = (async () => {
        while (!isOver) {
          for (const counter of counters) await flush(counter, store);
          await sleep(200);
        }
      })();
      const acts: (() => Promise<void>)[] = [
        async () => void (await server.command("FLUSHALL")),
        async () => {
          snapshot = await server.snapshot();
        },
        () => server.startFrom(snapshot),
        async () => {
          server.pause();
          await sleep(random() < 0.5 ? 300 : 1_500);
          server.resume();
        },
      ];
      for (let i = 0; i < 6; i++) {
        await acts[Math.floor(random() * acts.length)]?.();
        await sleep(200 + random() * 1_800);
      }
      await expect.poll(() => LIMIT - admitted, { ...SOON, timeout: 60_000 }).toBeLessThan(3);
      await sleep(500);
      isOver = true;
      await Promise.all([load, flushes]);
      expect(admitted).toBeLessThanOrEqual(LIMIT);
    },
    120_000,
  );
});

describe("exact limits of an instance that is cut off while Redis is wiped", () => {
  const LEASE_MS = 5_000;

  /** Two counters on a Redis of their own; the first has 3,000 of the limit, and can be cut off. */
  async function two(): Promise<Two> {
    const [store, prefix, claim, server] = [memoryStore(), freshPrefix(), openings(), await redisServer()];
    const options = { prefix, claim, leaseMs: LEASE_MS };
    const tapped = new TappedClient(await patientClient(server.url));
    const a = await exactCounter(store, LIMIT, { ...options, client: tapped });
    const b = await exactCounter(store, LIMIT, { ...options, client: await patientClient(server.url) });
    let hold: Hold | undefined;
    await expect.poll(() => (hold = a.hold("oci", { apiRequests: 3_000 })), SOON).toBeDefined();
    tapped.fault = "rejects";
    await server.command("FLUSHALL");
    // What the store has is there again: only time is missing.
    const whole = async (): Promise<void> => {
      await b.sync();
      await flush(b, store);
    };
    await whole();
    await whole();
    return { a, b, tapped, whole, hold: hold as unknown as Hold };
  }

  interface Two {
    readonly a: RedisCounterBackend;
    readonly b: RedisCounterBackend;
    readonly tapped: TappedClient;
    readonly whole: () => Promise<void>;
    readonly hold: Hold;
  }

  async function takeAll(counter: RedisCounterBackend, ms: number): Promise<number> {
    let admitted = 0;
    for (const until = performance.now() + ms; performance.now() < until; await sleep(2)) {
      for (let i = 0; i < 20; i++) if (counter.tryAddAll("oci", { apiRequests: 1 })) admitted++;
    }
    return admitted;
  }

  it("are not given to others while it may use its slice, nor once it has said so again", async () => {
    const { a, b, tapped, hold } = await two();
    expect(await takeAll(b, LEASE_MS / 5)).toBe(0);
    tapped.fault = "none";
    await a.sync();
    let others = 0;
    await expect.poll(async () => (others += await takeAll(b, 100)), SOON).toBeGreaterThanOrEqual(1_000);
    others += await takeAll(b, 500);
    hold.settle();
    expect(others).toBe(1_000);
    await expect.poll(() => b.totalAll("oci").apiRequests, SOON).toBe(LIMIT);
  });

  it("are given to others after its lease, and it uses nothing more when it is back", async () => {
    const { a, b, tapped, whole, hold } = await two();
    hold.count({ apiRequests: 1_000 });
    hold.void();
    expect(a.fits("oci", { apiRequests: 2_000 })).toBe(true);
    await expect.poll(() => a.fits("oci", { apiRequests: 1 }), SOON).toBe(false);
    // What it had counted and nobody could know is what the limit may be passed by.
    const taken = async (): Promise<number> => {
      await whole();
      await takeAll(b, 100);
      return b.totalAll("oci").apiRequests;
    };
    await expect.poll(taken, SOON).toBe(LIMIT);
    tapped.fault = "none";
    expect(await takeAll(a, 1_000)).toBe(0);
    expect(a.totalAll("oci").apiRequests).toBe(LIMIT + 1_000);
  }, 60_000);
});

function mulberry32(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
