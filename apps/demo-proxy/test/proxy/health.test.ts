import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { BackendHealth } from "../../src/proxy/upstream/health.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type Ask, send } from "./client.ts";
import { refusingPort, respond, startRawUpstream, startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

const startWell = () => startUpstream((request, response) => void request.resume().on("end", () => response.end("ok")));

async function statuses(port: number, count: number, ask: Ask = {}): Promise<number[]> {
  const replies = await Promise.all(Array.from({ length: count }, () => send(port, "/", ask)));
  return replies.map(({ status }) => status).sort();
}

/** A port whose listener accepts nothing and whose backlog is full: the kernel drops every further SYN. */
async function swallowingPort(): Promise<number> {
  const code = `const s = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => console.log(s.address().port));`;
  const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const [line] = await once(child.stdout, "data");
  const port = Number(line);
  child.kill("SIGSTOP");
  const sockets = Array.from({ length: 8 }, () => connect(port, "127.0.0.1").on("error", () => {}));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  await sleep(200);
  expect(sockets.some(({ connecting }) => connecting)).toBe(true);
  return port;
}

describe("a backend that fails, beside one that is well", () => {
  test.each<readonly [string, (socket: { resetAndDestroy(): void; end(text: string): void }) => void]>([
    ["never answers", () => {}],
    ["resets each connection", (socket) => socket.resetAndDestroy()],
    ["answers nonsense", (socket) => socket.end("SSH-2.0-x\r\n\r\n")],
  ])(
    "costs one request, and after each pause one more, when it %s",
    async (_name, answer) => {
      let ill = true;
      const upstream = await startRawUpstream((socket) => (ill ? answer(socket) : void socket.write(OK)));
      const proxy = await startProxy({
        upstreams: { ill: upstream.port, well: (await startWell()).port },
        timeouts: { headersMs: 400 },
        unreachableMs: 1_000,
      });
      const ill1 = () => proxy.usage("ill").apiRequests;
      await send(proxy.port, "/").catch(() => {});
      expect(ill1()).toBe(1);
      expect(proxy.upstream("ill").trouble).toMatchObject({ code: expect.any(String), sinceMs: expect.any(Number) });
      expect(await statuses(proxy.port, 30)).toEqual(Array(30).fill(200));
      expect(ill1()).toBe(1);
      await expect.poll(() => proxy.upstream("ill").isReachable(), { timeout: 5_000 }).toBe(true);
      await Promise.allSettled(Array.from({ length: 30 }, () => send(proxy.port, "/")));
      expect([ill1(), proxy.usage("well").apiRequests]).toEqual([2, 59]);
      // The probe failed, so that the next pause is longer; the one that is answered ends the trouble.
      ill = false;
      await sleep(1_100);
      expect(proxy.upstream("ill").isReachable()).toBe(false);
      await expect.poll(() => proxy.upstream("ill").isReachable(), { timeout: 5_000 }).toBe(true);
      expect((await send(proxy.port, "/")).status).toBe(200);
      expect(proxy.upstream("ill").trouble).toBeUndefined();
      expect(await statuses(proxy.port, 5)).toEqual(Array(5).fill(200));
      expect([ill1(), proxy.usage("well").apiRequests]).toEqual([8, 59]);
    },
    30_000,
  );

  test("rests longer each time when it breaks off within the body", { timeout: 30_000 }, async () => {
    const ill = await startRawUpstream((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"));
    const proxy = await startProxy({
      upstreams: { ill: ill.port, well: (await startWell()).port },
      unreachableMs: 300,
    });
    const { health } = proxy.upstream("ill");
    const pauses: number[] = [];
    for (let at = 0; at < 3; at++) {
      await expect(send(proxy.port, "/")).rejects.toThrow("aborted");
      const began = performance.now();
      expect(await statuses(proxy.port, 10)).toEqual(Array(10).fill(200));
      await expect.poll(() => health.usable, { timeout: 10_000, interval: 10 }).toBe(true);
      pauses.push(performance.now() - began);
    }
    expect(pauses[1]).toBeGreaterThan(500);
    expect(pauses[2]).toBeGreaterThan(1_000);
  });

  test("slows one request, and after each pause one more, when it swallows SYNs", { timeout: 30_000 }, async () => {
    const proxy = await startProxy({
      upstreams: { mute: await swallowingPort(), well: (await startWell()).port },
      timeouts: { connectMs: 1_500 },
      unreachableMs: 500,
    });
    const slowOnes = async (): Promise<number> => {
      const took = Array.from({ length: 20 }, async () => {
        const began = performance.now();
        expect((await send(proxy.port, "/")).status).toBe(200);
        return performance.now() - began;
      });
      return (await Promise.all(took)).filter((ms) => ms > 1_400).length;
    };
    expect((await send(proxy.port, "/")).status).toBe(200);
    expect(proxy.upstream("mute").trouble).toMatchObject({ code: "UND_ERR_CONNECT_TIMEOUT" });
    await expect.poll(() => proxy.upstream("mute").isReachable()).toBe(true);
    expect(await slowOnes()).toBe(1);
    expect(await slowOnes()).toBe(0);
  });
});

describe("a backend that is alone", () => {
  test("gets every request, though it broke one", async () => {
    const upstream = await startUpstream((request, response) => {
      if (request.url === "/broken") response.destroy();
      else respond(response, 200, 2);
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    expect((await send(proxy.port, "/broken")).status).toBe(502);
    expect(proxy.upstream("a").trouble).toBeDefined();
    expect(await statuses(proxy.port, 10)).toEqual(Array(10).fill(200));
    expect(proxy.upstream("a").trouble).toBeUndefined();
  });

  test("is answered for by itself when it is too busy", async () => {
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(503, { "retry-after": "7", "x-own": "yes" }).end("in maintenance");
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    for (let at = 0; at < 3; at++) {
      const { status, headers, text } = await send(proxy.port, "/");
      expect([status, headers["retry-after"], headers["x-own"], text]).toEqual([503, "7", "yes", "in maintenance"]);
    }
    expect(proxy.usage("a").apiRequests).toBe(3);
  });
});

describe("a backend that is too busy, beside one that is well", () => {
  async function start(status: number, headers: Readonly<Record<string, string>> = {}) {
    const busy = await startUpstream((request, response) => {
      request.resume().on("end", () => response.writeHead(status, headers).end("too busy"));
    });
    return startProxy({ upstreams: { busy: busy.port, well: (await startWell()).port } });
  }

  test.each<readonly [string, Ask]>([
    ["GET", {}],
    ["DELETE", { method: "DELETE" }],
    ["POST", { method: "POST", headers: { "idempotency-key": "1", "content-length": 0 } }],
  ])("has what may be sent again answered by the other one: %s", async (_name, ask) => {
    const proxy = await start(429, { "retry-after": "5" });
    const reply = await send(proxy.port, "/", ask);
    expect([reply.status, reply.text]).toEqual([200, "ok"]);
    expect(await statuses(proxy.port, 5, { method: "PUT", body: "x" })).toEqual(Array(5).fill(200));
    // What was sent to it counts there.
    expect([proxy.usage("busy").apiRequests, proxy.usage("well").apiRequests]).toEqual([1, 6]);
    expect(proxy.upstream("busy").trouble).toMatchObject({ code: "429" });
    expect(proxy.upstream("busy").trouble?.reason).toContain("5 s");
  });

  test.each<readonly [string, Ask]>([
    ["a body", { method: "PUT", body: "x" }],
    ["POST", { method: "POST", headers: { "content-length": 0 } }],
    ["a body with a key", { method: "POST", body: "x", headers: { "idempotency-key": "1" } }],
  ])("answers itself what must not be sent again: %s", async (_name, ask) => {
    const proxy = await start(503);
    const reply = await send(proxy.port, "/", ask);
    expect([reply.status, reply.text]).toEqual([503, "too busy"]);
    expect([proxy.usage("busy").apiRequests, proxy.usage("well").apiRequests]).toEqual([1, 0]);
    expect((await send(proxy.port, "/", ask)).status).toBe(200);
  });

  test("answers itself where the other one cannot be connected to, or is busy, too", async () => {
    const busy = await startUpstream((_request, response) => response.writeHead(429).end("too busy"));
    const proxy = await startProxy({ upstreams: { busy: busy.port, gone: await refusingPort() } });
    for (let at = 0; at < 2; at++) {
      const reply = await send(proxy.port, "/");
      expect([reply.status, reply.text]).toEqual([429, "too busy"]);
    }
    const both = await startProxy({ upstreams: { busy: busy.port, other: busy.port } });
    expect((await send(both.port, "/")).text).toBe("too busy");
    expect([both.usage("busy").apiRequests, both.usage("other").apiRequests]).toEqual([1, 1]);
  });
});

describe("health", () => {
  const NOW = Date.UTC(2026, 0, 1);
  function watched() {
    const clock = new FakeClock(NOW);
    return { clock, health: new BackendHealth({ clock, pauseMs: 5_000 }) };
  }
  /** How long it gets nothing, in seconds. */
  function pauseOf({ clock, health }: ReturnType<typeof watched>): number {
    let seconds = 0;
    for (; !health.usable && seconds < 1_000; seconds++) clock.advance(1_000);
    return seconds;
  }

  test("waits for nothing once it is stopped, whatever still fails", () => {
    const { clock, health } = watched();
    health.stop();
    health.failed(new Error("late"), true, health.begin());
    const { trouble } = health;
    clock.advance(600_000);
    expect([health.trouble, health.usable]).toEqual([trouble, true]);
  });

  test.each([
    ["3", 3],
    ["0", 1],
    ["100000", 60],
    [new Date(NOW + 20_000).toUTCString(), 20],
    [new Date(NOW - 20_000).toUTCString(), 1],
    ["soon", 10],
    ["1.5", 10],
    ["-5", 10],
    [undefined, 10],
  ])("leaves a busy backend alone for its Retry-After of %s", (retryAfter, seconds) => {
    const one = watched();
    one.health.busy(429, retryAfter);
    expect(pauseOf(one)).toBe(seconds);
  });

  test("rests longer after each probe that fails, up to a minute, and from the beginning once one is answered", () => {
    const one = watched();
    const { health } = one;
    const pauses: number[] = [];
    health.failed(new Error("first"), false, false);
    for (let at = 0; at < 6; at++) {
      // What was under way before changes nothing.
      health.failed(new Error("old"), false, false);
      health.answered(false);
      pauses.push(pauseOf(one));
      const probe = health.begin();
      expect([probe, health.usable]).toEqual([true, false]);
      health.failed(new Error("again"), false, probe);
      health.end(probe);
    }
    expect(pauses).toEqual([5, 10, 20, 40, 60, 60]);
    expect(health.trouble).toMatchObject({ sinceMs: NOW, reason: "it failed: again" });
    pauseOf(one);
    const probe = health.begin();
    health.answered(probe);
    health.completed();
    health.end(probe);
    expect([health.usable, health.trouble]).toEqual([true, undefined]);
    health.failed(new Error("anew"), false, health.begin());
    expect(pauseOf(one)).toBe(5);
  });

  test("gives the place of a probe that ended without an answer to the next", () => {
    const one = watched();
    one.health.failed(new Error("first"), true, false);
    pauseOf(one);
    const probe = one.health.begin();
    expect(one.health.usable).toBe(false);
    one.health.end(probe);
    expect(one.health.usable).toBe(true);
  });
});
