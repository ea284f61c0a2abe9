import { ManualClock } from "@usage/counter-core/testing";
import { RedisCounterBackend, type RedisEvent } from "@usage/counter-redis";
import { beforeEach, describe, expect, inject, it, onTestFinished } from "vitest";
import { advance, settled } from "./support/advance.ts";
import { client, counter, freshPrefix, patientClient } from "./support/counters.ts";
import { faultProxy } from "./support/servers.ts";
import { SOON } from "./support/soon.ts";
import { TappedClient } from "./support/tapped-client.ts";

const SYNC_MS = 25;
const PROBE_MS = 1_000;

describe("the circuit", () => {
  let clock: ManualClock;
  let tapped: TappedClient;
  let one: RedisCounterBackend;
  let told: string[];
  beforeEach(async () => {
    clock = new ManualClock(Date.now());
    tapped = new TappedClient(await patientClient());
    const backends = ["oci", "b2"];
    // Every round asks for what others changed.
    const options = { prefix: freshPrefix(), backends, clock, pollIntervalMs: 1 };
    one = await RedisCounterBackend.connect({ client: tapped, ...options });
    onTestFinished(() => {
      tapped.fault = "none";
      // Whatever still hangs is given up on.
      clock.advance(PROBE_MS);
      return one.close();
    });
    told = [];
    one.onEvent((event) => {
      if (event.kind === "unhealthy")
        told.push(`unhealthy: ${event.error instanceof Error ? event.error.message : ""}`);
      if (event.kind === "healthy") told.push("healthy");
    });
    await advance(clock, tapped, SYNC_MS);
  });

  /** Lets time pass, and answers how many commands were sent meanwhile. */
  async function sentIn(ms: number): Promise<number> {
    const before = tapped.sent.length;
    await advance(clock, tapped, ms);
    return tapped.sent.length - before;
  }

  async function open(): Promise<void> {
    tapped.fault = "rejects";
    for (let round = 0; round < 3; round++) await advance(clock, tapped, SYNC_MS);
  }

  it("opens after three rounds that failed in a row, and tells why, once", async () => {
    tapped.fault = "rejects";
    for (const isHealthy of [true, true, false]) {
      expect(await sentIn(SYNC_MS)).toBe(1);
      expect(one.isHealthy()).toBe(isHealthy);
    }
    for (let i = 0; i < 5; i++) await advance(clock, tapped, PROBE_MS);
    expect(told).toEqual(["unhealthy: Connection is closed."]);
  });

  it("opens after as many as it is told", async () => {
    const other = new TappedClient(await patientClient());
    const options = { prefix: freshPrefix(), backends: ["oci"], clock, pollIntervalMs: 1, failureThreshold: 1 };
    const hasty = await RedisCounterBackend.connect({ client: other, ...options });
    onTestFinished(() => hasty.close());
    other.fault = "rejects";
    await advance(clock, other, SYNC_MS);
    expect(hasty.isHealthy()).toBe(false);
  });

  it("opens as well where nothing is counted, and most rounds have nothing to ask", async () => {
    const other = new TappedClient(await patientClient());
    const options = { prefix: freshPrefix(), backends: ["oci"], clock, pollIntervalMs: 2.5 * SYNC_MS };
    const idle = await RedisCounterBackend.connect({ client: other, ...options });
    onTestFinished(() => idle.close());
    other.fault = "rejects";
    for (let round = 0; round < 6; round++) await advance(clock, other, SYNC_MS);
    expect(idle.isHealthy()).toBe(false);
  });

  it("sends one command at each probe interval while it is open, and nothing between", async () => {
    await open();
    for (let i = 0; i < 5; i++) {
      expect(await sentIn(PROBE_MS - 1)).toBe(0);
      expect(await sentIn(1)).toBe(1);
    }
  });

  it("waits for an answer as long as it is told, and sends nothing else meanwhile", async () => {
    tapped.fault = "hangs";
    for (const isHealthy of [true, true, false]) {
      expect(await sentIn(SYNC_MS)).toBe(1);
      expect(await sentIn(999)).toBe(0);
      await advance(clock, tapped, 1);
      expect(one.isHealthy()).toBe(isHealthy);
    }
    expect(told).toEqual(["unhealthy: no answer from Redis within 1000 ms"]);
  });

  it("closes at the first probe that goes through, with all that was counted meanwhile", async () => {
    await open();
    for (const backend of ["oci", "b2"]) one.add(backend, "apiRequests", 5);
    tapped.fault = "none";
    await advance(clock, tapped, PROBE_MS);
    expect(told.at(-1)).toBe("healthy");
    expect(one.isHealthy()).toBe(true);
    expect(["oci", "b2"].map((backend) => one.unpushedAll(backend).apiRequests)).toEqual([0, 0]);
    expect(await sentIn(SYNC_MS)).toBe(1);
  });

  it("deletes once what was discarded again and again meanwhile", async () => {
    await open();
    for (let i = 0; i < 10; i++) one.discard("oci");
    tapped.fault = "none";
    tapped.sent.length = 0;
    await advance(clock, tapped, PROBE_MS);
    // In this period and the one before, beside what a round asks for anyway.
    const deletions = tapped.sent.length;
    tapped.sent.length = 0;
    await advance(clock, tapped, PROBE_MS);
    expect(deletions - tapped.sent.length).toBeLessThan(10);
  });

  it("is really closed then: it takes three more rounds in a row to open it again", async () => {
    await open();
    tapped.fault = "none";
    await advance(clock, tapped, PROBE_MS);
    for (let i = 0; i < 4; i++) {
      tapped.fault = "rejects";
      for (let round = 0; round < 2; round++) await advance(clock, tapped, SYNC_MS);
      tapped.fault = "none";
      await advance(clock, tapped, SYNC_MS);
    }
    expect(one.isHealthy()).toBe(true);
    expect(told).toHaveLength(2);
    await open();
    expect(told).toHaveLength(3);
    expect(one.isHealthy()).toBe(false);
  });

  it("tells those who listen, until they do not any more", async () => {
    const events: RedisEvent[] = [];
    const listening = one.onEvent((event) => events.push(event));
    await open();
    tapped.fault = "none";
    await advance(clock, tapped, PROBE_MS);
    expect(events).toEqual([{ kind: "unhealthy", error: expect.any(Error) }, { kind: "healthy" }]);
    listening[Symbol.dispose]();
    await open();
    expect(events).toHaveLength(2);
  });

  it("says when all counts were last exchanged", async () => {
    const whole = one.sharedAtMs();
    expect(whole).toBe(clock.now());
    await open();
    await advance(clock, tapped, 10 * PROBE_MS);
    expect(one.sharedAtMs()).toBe(whole);
    tapped.fault = "none";
    await advance(clock, tapped, PROBE_MS);
    expect(one.sharedAtMs()).toBe(clock.now());
    await settled(tapped);
  });
});

describe("the circuit, on a connection that is really refused,", () => {
  it("opens and closes, and every change is told once", async () => {
    const { proxy, url } = await faultProxy(inject("redisUrl"));
    const one = await counter({ prefix: freshPrefix(), client: await client(url), probeIntervalMs: 100 });
    const told: string[] = [];
    one.onEvent((event) => {
      if (event.kind === "unhealthy") told.push(String(event.error));
      if (event.kind === "healthy") told.push("healthy");
    });
    for (let times = 1; times <= 2; times++) {
      await proxy.refuse();
      await expect.poll(() => one.isHealthy(), SOON).toBe(false);
      one.add("oci", "apiRequests", 1);
      await proxy.heal();
      await expect.poll(() => one.isHealthy(), SOON).toBe(true);
      await expect.poll(() => told, SOON).toHaveLength(2 * times);
    }
    expect(told.map((text) => text.replace(/:.*/, ""))).toEqual([
      "NotConnectedError",
      "healthy",
      "NotConnectedError",
      "healthy",
    ]);
    expect(one.unpushedAll("oci").apiRequests).toBe(0);
  });
});
