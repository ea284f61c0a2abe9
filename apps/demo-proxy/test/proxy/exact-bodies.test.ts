import { once } from "node:events";
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Usage } from "@usage/counter-core";
import { describe, expect, test } from "vitest";
import type { ExactLimits } from "../../src/proxy/admission/body-room.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { dial, send } from "./client.ts";
import { respond, startRawUpstream, startUpstream } from "./node-upstream.ts";
import { type ProxyOptions, type RunningProxy, startProxy } from "./proxy-fixture.ts";

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

const AT_ONCE: ExactLimits = { waitMs: 0 };
const PATIENT: ExactLimits = { waitMs: 20_000 };

async function startExact(limits: Partial<Usage>, listener: Listener, options: Partial<ProxyOptions> = {}) {
  const upstream = await startUpstream(listener);
  const all = { upstreams: { a: upstream.port }, limits: { a: limits }, exact: AT_ONCE, ...options };
  return { upstream, proxy: await startProxy(all) };
}

const excess = (proxy: RunningProxy) => proxy.tracker.counter.excessAll("a");

/** Keeps all but so many bytes of a limit free for something else, until it is ended. */
function occupy(proxy: RunningProxy, usage: Partial<Usage>) {
  return proxy.tracker.tryReserve("a", usage) ?? expect.unreachable("there is no room for it");
}

/** What a client got of a body, and whether that is all of it. */
async function download({ port }: RunningProxy, path = "/") {
  const outgoing = request({ port, host: "127.0.0.1", path, agent: false }).end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  let bytes = 0;
  try {
    for await (const chunk of response) bytes += (chunk as Buffer).length;
  } catch {
    // It was broken off.
  }
  return { status: response.statusCode, bytes, isWhole: response.complete };
}

/** Answers in pieces of so many bytes, as fast as they are read. */
function pieces(count: number, bytes: number): Listener {
  return async (incoming, response) => {
    incoming.resume();
    for (let at = 0; at < count && !response.destroyed; at++) {
      response.write(Buffer.alloc(bytes));
      await sleep(5);
    }
    response.end();
  };
}

describe("an answer that has no room", () => {
  test("does not begin where its length is known, and its client is told", async () => {
    const { proxy } = await startExact({ egressBytes: 1_000 }, (_, response) => respond(response, 200, 600));
    expect((await send(proxy.port, "/")).body).toHaveLength(600);
    const refused = await send(proxy.port, "/");
    expect([refused.status, refused.headers["x-should-retry"]]).toEqual([429, "false"]);
    const problem = JSON.parse(refused.text);
    expect(problem).toMatchObject({ status: 429, "violated-policies": ["egressBytes"] });
    expect(problem.detail).toMatch(
      /^The backend has carried out this request, and there is no room for its answer\. The/,
    );
    await proxy.settled();
    // What the backend has sent is used, and said to be too much, but for the byte that every answer is admitted with.
    expect(proxy.usage("a")).toMatchObject({ apiRequests: 2, egressBytes: 1_200 });
    expect(excess(proxy).egressBytes).toBe(600 - 1);
    expect([...proxy.upstream("a").traffic.cuts]).toEqual([0, 1, 0]);
  });

  test("does not begin where its length is not known and its first piece has none", async () => {
    const { proxy } = await startExact({ egressBytes: 1_000 }, pieces(1, 2_000));
    const refused = await send(proxy.port, "/");
    expect(refused.status).toBe(429);
    expect(JSON.parse(refused.text).detail).toContain("there is no room for its answer. The limit of egressBytes");
    expect(excess(proxy).egressBytes).toBe(2_000 - 1);
  });

  test("is cut where it is under way, and never seems to be whole", async () => {
    const { proxy } = await startExact({ egressBytes: 10_000 }, pieces(20, 1_000));
    const cut = await download(proxy);
    expect(cut).toMatchObject({ status: 200, isWhole: false });
    expect(cut.bytes).toBeLessThanOrEqual(10_000);
    expect(cut.bytes).toBeGreaterThan(8_000);
    await proxy.settled();
    const { egressBytes } = proxy.usage("a");
    expect(egressBytes - excess(proxy).egressBytes).toBe(cut.bytes);
    expect((await send(proxy.port, "/")).status).toBe(429);
  });

  test("is cut by a reset for a client whose bodies end with the connection", async () => {
    const { proxy } = await startExact({ egressBytes: 10_000 }, pieces(20, 1_000));
    const client = await dial(proxy.port, "GET / HTTP/1.0\r\nHost: x\r\n\r\n");
    const [error] = await once(client.socket, "error");
    expect(error).toMatchObject({ code: "ECONNRESET" });
  });

  test("is another backend's where that has room, for a request that may be sent again", async () => {
    const upstream = await startUpstream((incoming, response) => {
      incoming.resume().on("end", () => respond(response, 200, 600));
    });
    const limits = { a: { egressBytes: 500 }, b: { egressBytes: 1_000 } };
    const proxy = await startProxy({ upstreams: { a: upstream.port, b: upstream.port }, limits, exact: AT_ONCE });
    expect((await send(proxy.port, "/", { method: "POST", body: "x" })).status).toBe(429);
    expect((await send(proxy.port, "/")).status).toBe(200);
    await proxy.settled();
    expect([proxy.usage("a").egressBytes, proxy.usage("b").egressBytes]).toEqual([600, 600]);
  });

  test("waits for what other work gives back, and the backend with it", async () => {
    for (const listener of [pieces(20, 1_000), ((_, response) => respond(response, 200, 20_000)) as Listener]) {
      const { proxy } = await startExact({ egressBytes: 25_000 }, listener, { exact: PATIENT });
      const occupied = occupy(proxy, { egressBytes: 20_000 });
      const got = download(proxy);
      await sleep(300);
      expect(proxy.usage("a").egressBytes).toBeLessThanOrEqual(5_000);
      occupied.void();
      expect(await got).toEqual({ status: 200, bytes: 20_000, isWhole: true });
      await proxy.settled();
      expect(excess(proxy).egressBytes).toBe(0);
    }
  });

  test("waits while its backend closes the connection, and is whole all the same", async () => {
    const text = `HTTP/1.1 200 OK\r\n\r\n${"x".repeat(5_000)}`;
    const upstream = await startRawUpstream((socket) => socket.end(text));
    const limits = { a: { egressBytes: 6_000 } };
    const proxy = await startProxy({ upstreams: { a: upstream.port }, limits, exact: PATIENT });
    const occupied = occupy(proxy, { egressBytes: 5_000 });
    const got = download(proxy);
    await sleep(300);
    occupied.void();
    expect(await got).toMatchObject({ bytes: 5_000 });
    expect(proxy.usage("a").egressBytes).toBe(5_000);
  });

  test.each([
    ["GET", "1", undefined],
    // It has taken effect: nobody is asked to send it again.
    ["POST", undefined, "false"],
  ])(
    "waits for no longer than configured, and then says that it is only reserved: %s",
    async (method, after, again) => {
      const { proxy } = await startExact({ egressBytes: 10_000 }, pieces(1, 5_000), { exact: { waitMs: 200 } });
      const occupied = occupy(proxy, { egressBytes: 9_000 });
      const begun = performance.now();
      const refused = await send(proxy.port, "/", { method });
      expect(performance.now() - begun).toBeGreaterThan(150);
      expect([refused.status, refused.headers["retry-after"], refused.headers["x-should-retry"]]).toEqual([
        429,
        after,
        again,
      ]);
      expect(JSON.parse(refused.text).detail).toContain("only reserved at the moment");
      occupied.void();
    },
  );

  test("is waited for in vain by a client that goes away, and nothing is kept free for it", async () => {
    const { proxy } = await startExact({ egressBytes: 10_000 }, pieces(1, 5_000), { exact: PATIENT });
    const occupied = occupy(proxy, { egressBytes: 9_000 });
    const client = await dial(proxy.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await sleep(200);
    client.socket.destroy();
    await expect.poll(() => proxy.upstream("a").inFlight).toBe(0);
    occupied.void();
    await proxy.settled();
    expect(proxy.usage("a").egressBytes).toBe(5_000);
  });

  test("goes on in the month that has begun, whose room it takes", async () => {
    const clock = new FakeClock(Date.UTC(2026, 1) - 1_000);
    const listener: Listener = async (_, response) => {
      response.write(Buffer.alloc(900));
      await expect.poll(() => proxy.usage("a").egressBytes).toBe(900);
      clock.advance(2_000);
      response.end(Buffer.alloc(700));
    };
    const { proxy } = await startExact({ egressBytes: 1_000 }, listener, { counterClock: clock });
    expect(await download(proxy)).toEqual({ status: 200, bytes: 1_600, isWhole: true });
    expect(proxy.usage("a").egressBytes).toBe(700);
  });
});

describe("an upload that has no room", () => {
  const sink: Listener = (incoming, response) => void incoming.resume().on("end", () => respond(response, 200, 0));

  /** An upload in chunks that its backend sees: so many bytes, and whether it was whole. */
  async function startSink(limit: number, exact: ExactLimits) {
    const seen = { bytes: 0, isWhole: false };
    const { proxy } = await startExact(
      { ingressBytes: limit },
      (incoming, response) => {
        incoming.on("data", (chunk: Buffer) => {
          seen.bytes += chunk.length;
        });
        incoming.on("close", () => {
          seen.isWhole = incoming.complete;
        });
        sink(incoming, response);
      },
      { exact },
    );
    return { proxy, seen };
  }

  test("is cut: its client is told, and its backend does not take it for a whole one", async () => {
    const { proxy, seen } = await startSink(10_000, AT_ONCE);
    const body = Array.from({ length: 15 }, () => Buffer.alloc(1_000));
    const refused = await send(proxy.port, "/", { method: "POST", body });
    expect(refused.status).toBe(429);
    expect(JSON.parse(refused.text).detail).toMatch(/^A part of this request's body was sent to the backend, and/);
    await proxy.settled();
    expect(seen.isWhole).toBe(false);
    expect(seen.bytes).toBeLessThanOrEqual(10_000);
    expect(proxy.usage("a").ingressBytes).toBeLessThanOrEqual(10_000);
    expect(proxy.usage("a").ingressBytes).toBeGreaterThanOrEqual(9_000);
    expect(excess(proxy).ingressBytes).toBe(0);
    expect([...proxy.upstream("a").traffic.cuts]).toEqual([0, 0, 1]);
  });

  test("waits for what other work gives back", async () => {
    const { proxy, seen } = await startSink(20_000, PATIENT);
    const occupied = occupy(proxy, { ingressBytes: 15_000 });
    const body = Array.from({ length: 10 }, () => Buffer.alloc(1_000));
    const sent = send(proxy.port, "/", { method: "POST", body });
    await sleep(300);
    expect(seen.bytes).toBeLessThanOrEqual(5_000);
    occupied.void();
    expect((await sent).status).toBe(200);
    expect(seen).toEqual({ bytes: 10_000, isWhole: true });
    await proxy.settled();
    expect(proxy.usage("a").ingressBytes).toBe(10_000);
  });

  test("of twenty of 8,000 bytes at once one passes where 10,000 are left, and the others are refused at once", async () => {
    const { proxy, seen } = await startSink(10_000, AT_ONCE);
    const clients = Array.from({ length: 20 }, () =>
      send(proxy.port, "/", { method: "PUT", body: Buffer.alloc(8_000) }),
    );
    const statuses = (await Promise.all(clients)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, ...Array(19).fill(429)]);
    expect(seen.bytes).toBe(8_000);
  });
});

describe("a request that has no room", () => {
  test("waits for it, and takes it from who came later", async () => {
    const { proxy, upstream } = await startExact({ apiRequests: 10 }, (_, response) => respond(response, 200, 0), {
      exact: PATIENT,
    });
    const occupied = occupy(proxy, { apiRequests: 10 });
    const waiting = Array.from({ length: 5 }, () => send(proxy.port, "/"));
    await sleep(200);
    expect(upstream.requests).toHaveLength(0);
    expect([...proxy.upstream("a").traffic.rejections]).toEqual([0, 0, 0]);
    occupied.void();
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  });

  test("goes to a backend that has some at once, instead of waiting", async () => {
    const upstream = await startUpstream((_, response) => respond(response, 200, 0));
    const limits = { a: { apiRequests: 1 } };
    const proxy = await startProxy({ upstreams: { a: upstream.port, b: upstream.port }, limits, exact: PATIENT });
    const occupied = occupy(proxy, { apiRequests: 1 });
    expect((await send(proxy.port, "/")).status).toBe(200);
    expect(proxy.usage("b").apiRequests).toBe(1);
    occupied.void();
  });

  test("is refused for a second when none came in time, and until the month ends where all is used", async () => {
    const { proxy } = await startExact({ apiRequests: 10 }, (_, response) => respond(response, 200, 0), {
      exact: { waitMs: 200 },
    });
    const occupied = occupy(proxy, { apiRequests: 10 });
    const refused = await send(proxy.port, "/");
    expect([refused.status, refused.headers["retry-after"]]).toEqual([429, "1"]);
    expect(JSON.parse(refused.text).detail).toContain("only reserved at the moment");
    expect([...proxy.upstream("a").traffic.rejections]).toEqual([1, 0, 0]);
    occupied.settle();
    expect((await send(proxy.port, "/")).headers["x-should-retry"]).toBe("false");
  });

  test("keeps nothing free once its client has gone away", async () => {
    const { proxy } = await startExact({ apiRequests: 1 }, (_, response) => respond(response, 200, 0), {
      exact: PATIENT,
    });
    const occupied = occupy(proxy, { apiRequests: 1 });
    const client = await dial(proxy.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await sleep(200);
    client.socket.destroy();
    await expect.poll(() => proxy.server.inFlight).toBe(0);
    occupied.void();
    expect((await send(proxy.port, "/")).status).toBe(200);
    await proxy.settled();
    expect(proxy.usage("a").apiRequests).toBe(1);
  });
});
