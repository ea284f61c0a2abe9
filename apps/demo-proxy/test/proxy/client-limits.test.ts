import { systemClock } from "@usage/counter-core";
import { describe, expect, test } from "vitest";
import { DEFAULT_TIMEOUTS } from "../../src/proxy/http/timeouts.ts";
import { ProxyServer } from "../../src/proxy/server.ts";
import { Upstream } from "../../src/proxy/upstream/upstream.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { dial, send, talk } from "./client.ts";
import { respond, startRawUpstream, startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

const GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

describe("limits on clients", () => {
  test("a head that is too large is answered 431", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const answer = await talk(proxy.port, `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(20_000)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 .*application\/problem\+json/s);
    expect(upstream.requests).toEqual([]);
  });

  test("how large a head may be is a setting, of requests and of responses", async () => {
    const upstream = await startUpstream((request, response) => {
      response.setHeader("x-large", "y".repeat(Number(request.headers["x-answer"])));
      respond(response, 200, 0);
    });
    const ask = (asked: number, answered: number) =>
      `GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Answer: ${answered}\r\nX: ${"x".repeat(asked)}\r\n\r\n`;
    const heads = { requestBytes: 65_536, responseBytes: 32_768 };
    const proxy = await startProxy({ upstreams: { a: upstream.port }, heads });
    expect(await talk(proxy.port, ask(60_000, 30_000))).toMatch(/^HTTP\/1\.1 200 .*y{30000}/s);
    expect(await talk(proxy.port, ask(70_000, 0))).toMatch(/^HTTP\/1\.1 431 /);
    expect(await talk(proxy.port, ask(0, 35_000))).toMatch(/^HTTP\/1\.1 502 /);
    const usual = await startProxy({ upstreams: { a: upstream.port } });
    expect(await talk(usual.port, ask(0, 15_000))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await talk(usual.port, ask(0, 17_000))).toMatch(/^HTTP\/1\.1 502 /);
    const small = await startProxy({
      upstreams: { a: upstream.port },
      heads: { requestBytes: 1_024, responseBytes: 1_024 },
    });
    expect(await talk(small.port, ask(100, 100))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await talk(small.port, ask(1_500, 0))).toMatch(/^HTTP\/1\.1 431 /);
    expect(await talk(small.port, ask(0, 1_500))).toMatch(/^HTTP\/1\.1 502 /);
  });

  test("a connection that waits for its next request is closed after a time that is a setting, and no sooner", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
    const clock = new FakeClock(0);
    const proxy = await startProxy({ upstreams: { a: upstream.port }, clock, timeouts: { keepAliveMs: 20_000 } });
    const [waits, fresh, begins] = [await dial(proxy.port, GET), await dial(proxy.port), await dial(proxy.port, GET)];
    await waits.until("keep-alive: timeout=20\r\n");
    await begins.until("keep-alive: timeout=20\r\n");
    clock.advance(20_000);
    // Its head may take `headersMs`.
    begins.socket.write("GET / HTTP/1.1\r\nHost: x\r\nX-A: ");
    // Answers of the proxy's own say so, too.
    waits.socket.write("GET / HTTP/1.1\r\nHost: x\r\nExpect: much\r\n\r\n");
    await waits.until("HTTP/1.1 417");
    await waits.until("keep-alive: timeout=20\r\n", 2);
    clock.advance(60_000);
    await waits.closed;
    await expect.poll(() => proxy.server.connections).toBe(2);
    expect([fresh, begins].map(({ socket }) => socket.destroyed)).toEqual([false, false]);
    begins.socket.write("b\r\n\r\n");
    await begins.until("HTTP/1.1 200", 2);
    for (const { socket } of [fresh, begins]) socket.destroy();
  });

  test("a head that trickles in is cut off with 408", async () => {
    const proxy = await startProxy({ upstreams: { a: 9 }, timeouts: { headersMs: 300 } });
    const client = await dial(proxy.port, "GET / HTTP/1.1\r\nHost: x\r\n");
    const trickle = setInterval(() => client.socket.write("X-A: b\r\n"), 50);
    await client.closed;
    clearInterval(trickle);
    expect(client.text()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("a connection on which nothing is said is closed", async () => {
    const proxy = await startProxy({ upstreams: { a: 9 }, timeouts: { headersMs: 100 } });
    expect(await talk(proxy.port, "")).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("an upload that falls silent is answered 408, and the upstream told", async () => {
    const upstream = await startRawUpstream(() => {});
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: { idleMs: 200 } });
    const answer = await talk(proxy.port, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    await expect.poll(() => upstream.connections[0]?.destroyed).toBe(true);
    expect(proxy.usage("a")).toEqual({ apiRequests: 1, egressBytes: 0, ingressBytes: 4 });
  });

  test("an upload that moves may take longer than any time-out", async () => {
    const upstream = await startUpstream((request, response) => {
      request.resume().on("end", () => respond(response, 200, 0));
    });
    const timeouts = { idleMs: 1_000, headersMs: 1_000 };
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts });
    const client = await dial(proxy.port, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n");
    const began = Date.now();
    for (let at = 0; at < 30; at++) {
      client.socket.write("x");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await client.until("HTTP/1.1 200");
    client.socket.destroy();
    expect(Date.now() - began).toBeGreaterThan(2_500);
  });

  test("a client that waits for a slow answer is not silent", async () => {
    const upstream = await startUpstream((_request, response) => {
      setTimeout(() => respond(response, 200, 0), 1_000);
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: { idleMs: 150 } });
    const client = await dial(proxy.port, GET);
    await client.until("HTTP/1.1 200");
    client.socket.destroy();
  });

  test("a client that does not read its answer is cut off", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 50_000_000));
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: { idleMs: 300 } });
    const client = await dial(proxy.port);
    client.socket.pause();
    client.socket.write(GET);
    await expect.poll(() => proxy.server.inFlight).toBe(1);
    await expect.poll(() => proxy.server.inFlight, { timeout: 10_000 }).toBe(0);
    expect(proxy.usage("a").egressBytes).toBeLessThan(50_000_000);
    client.socket.destroy();
  });

  test("malformed requests one after the other leave the proxy as it was", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const garbage = [
      "\0\0\0",
      "GET",
      "\r\n\r\n\r\nGET\r\n",
      "\x16\x03\x01\x02\x00",
      `${GET}garbage\r\n\r\n`,
      "GET / HTTP/9.9\r\n\r\n",
    ];
    for (const bytes of garbage) {
      const client = await dial(proxy.port, bytes);
      client.socket.end();
      await client.closed;
    }
    for (const bytes of garbage) (await dial(proxy.port, bytes)).socket.resetAndDestroy();
    expect((await send(proxy.port, "/")).status).toBe(200);
  });
});

describe("closing", () => {
  test("lets running requests end, closes kept-alive connections, and accepts no new ones", async () => {
    let finish: (() => void) | undefined;
    const upstream = await startUpstream((_request, response) => {
      finish = () => respond(response, 200, 3);
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const idle = await dial(proxy.port);
    const running = await dial(proxy.port, GET);
    await expect.poll(() => finish).toBeDefined();
    expect(proxy.server.inFlight).toBe(1);
    const closed = proxy.server.close({ graceMs: 20_000 });
    running.socket.write(GET);
    await expect(dial(proxy.port)).rejects.toThrow(/ECONNREFUSED/);
    finish?.();
    expect(await closed).toEqual({ cut: 0 });
    await Promise.all([idle.closed, running.closed]);
    expect(running.text()).toMatch(/^HTTP\/1\.1 200 .*Connection: close.*rrr/s);
    expect(proxy.usage("a")).toMatchObject({ apiRequests: 1, egressBytes: 3 });
  });

  test("cuts what does not end in time, and says how many", async () => {
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { "content-length": 10 }).write("half");
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const clients = [await dial(proxy.port, GET), await dial(proxy.port, GET)];
    await Promise.all(clients.map((client) => client.until("half")));
    expect(await proxy.server.close({ graceMs: 50 })).toEqual({ cut: 2 });
    await proxy.settled();
    expect(proxy.usage("a")).toMatchObject({ apiRequests: 2, egressBytes: 8 });
  });
});

describe("options", () => {
  test.each([
    ["connectMs", 0],
    ["headersMs", -1],
    ["idleMs", 2 ** 31],
    ["idleMs", Number.NaN],
    ["headersMs", 1.5],
    ["keepAliveMs", 0],
  ])("a time-out that is none is refused: %s %d", (name, value) => {
    const timeouts = { ...DEFAULT_TIMEOUTS, [name]: value };
    const make = () => new Upstream({ name: "a", url: new URL("http://x"), timeouts, clock: systemClock });
    expect(make).toThrow(new RegExp(`${name} .*got ${value}`));
    expect(() => Reflect.construct(ProxyServer, [{ timeouts, clock: systemClock }])).toThrow(RangeError);
  });

  test.each(["ftp://x", "http://user:pass@x", "http://x/?q", "http://x/#f"])("an upstream at %s is refused", (url) => {
    const make = () => new Upstream({ name: "a", url: new URL(url), timeouts: DEFAULT_TIMEOUTS, clock: systemClock });
    expect(make).toThrow(RangeError);
  });
});
