import { once } from "node:events";
import { setInterval as every, setTimeout as sleep } from "node:timers/promises";
import type { UsageTracker } from "@usage/tracker";
import { describe, expect, onTestFinished, test } from "vitest";
import { booksOf } from "../../src/proxy/admission/books.ts";
import { Reservation } from "../../src/proxy/admission/reservation.ts";
import { dial, type RawClient, type Reply, send } from "./client.ts";
import { respond, startUpstream } from "./node-upstream.ts";
import { type RunningProxy, startProxy } from "./proxy-fixture.ts";

const LIMIT = 500_000_000;
const PUT = { method: "PUT", body: "a few bytes" } as const;

/** Declares a body and sends so many bytes of it every so many milliseconds, until the test ends. */
async function upload(proxy: RunningProxy, declared: number, bytes: number, everyMs: number): Promise<RawClient> {
  const client = await dial(proxy.port, `PUT /slow HTTP/1.1\r\nHost: x\r\nContent-Length: ${declared}\r\n\r\nx`);
  const chunk = Buffer.alloc(bytes);
  const timer = setInterval(() => client.socket.write(chunk), everyMs);
  onTestFinished(() => {
    clearInterval(timer);
    client.socket.destroy();
  });
  return client;
}

function reserve(tracker: UsageTracker, ingressBytes: number): Reservation {
  const hold = tracker.tryReserve("a", { apiRequests: 1, ingressBytes });
  if (hold === undefined) throw new Error("there is no room for it");
  return new Reservation(hold, hold.usage, booksOf(tracker));
}

function delayed(reply: Reply): void {
  expect([reply.status, reply.headers["retry-after"]]).toEqual([429, "1"]);
  expect(reply.headers).not.toHaveProperty("x-should-retry");
  const { detail, error } = JSON.parse(reply.text);
  expect(detail).toContain("only reserved at the moment");
  expect(error).toEqual({ message: detail, type: "rate_limit_exceeded", code: "rate_limit_exceeded" });
}

async function startSink(limits: Parameters<typeof startProxy>[0]["limits"] = { a: { ingressBytes: LIMIT } }) {
  const upstream = await startUpstream((request, response) => {
    request.resume().on("end", () => respond(response, 200, 0));
  });
  return startProxy({ upstreams: { a: upstream.port }, limits });
}

describe("a body that is announced and trickles", () => {
  test("delays others for seconds and does not close the limit, as an upload", { timeout: 60_000 }, async () => {
    const proxy = await startSink();
    await upload(proxy, LIMIT, 1, 300);
    await expect.poll(() => proxy.held("a").ingressBytes).toBeGreaterThan(LIMIT - 100);
    delayed(await send(proxy.port, "/", PUT));
    await expect.poll(async () => (await send(proxy.port, "/", PUT)).status, { timeout: 30_000 }).toBe(200);
    // Nobody holds what is left by trickling: in the end most of it is free again.
    const large = { method: "PUT", body: Buffer.alloc(20_000_000) };
    const room = () => LIMIT - proxy.held("a").ingressBytes;
    await expect.poll(room, { timeout: 30_000 }).toBeGreaterThan(LIMIT * 0.95);
    expect((await send(proxy.port, "/", large)).status).toBe(200);
    expect(proxy.usage("a").ingressBytes).toBeLessThan(21_000_000);
    expect([...proxy.upstream("a").traffic.reservationRejections].map(Math.sign)).toEqual([0, 0, 1]);
  });

  test("delays others for seconds and does not close the limit, as a download", { timeout: 60_000 }, async () => {
    const upstream = await startUpstream(async (request, response) => {
      if (request.url !== "/slow") return respond(response, 200, 10);
      response.writeHead(200, { "content-length": LIMIT });
      for await (const _ of every(300)) if (response.destroyed || !response.write("x")) break;
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { egressBytes: LIMIT } } });
    const client = await dial(proxy.port, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.until("\r\n\r\nx");
    delayed(await send(proxy.port, "/"));
    await expect.poll(async () => (await send(proxy.port, "/")).status, { timeout: 30_000 }).toBe(200);
    client.socket.destroy();
  });

  test("holds nothing to speak of when its client never begins it", { timeout: 60_000 }, async () => {
    const proxy = await startSink();
    const clients = await Promise.all(Array.from({ length: 20 }, () => dial(proxy.port)));
    for (const { socket } of clients) {
      socket.write(`PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${LIMIT / 20}\r\n\r\n`);
    }
    await expect.poll(() => proxy.held("a").ingressBytes).toBe(LIMIT);
    await expect.poll(async () => (await send(proxy.port, "/", PUT)).status, { timeout: 30_000 }).toBe(200);
    for (const { socket } of clients) socket.destroy();
    await Promise.all(clients.map(({ socket }) => socket.closed || once(socket, "close")));
  });
});

test("a body at a normal pace keeps all that it announced", { timeout: 60_000 }, async () => {
  const proxy = await startSink({ a: { ingressBytes: 100_000_000 } });
  await upload(proxy, 60_000_000, 400_000, 100);
  for (let second = 0; second < 6; second++) {
    await sleep(1_000);
    const reply = await send(proxy.port, "/", { method: "PUT", headers: { "content-length": 60_000_000 } });
    delayed(reply);
  }
});

test("of five hundred requests at once exactly ten pass a limit of ten, and no refusal lasts that need not", async () => {
  const upstream = await startUpstream((_request, response) => {
    setTimeout(() => respond(response, 200, 1), 100);
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port }, limits: { a: { apiRequests: 10 } } });
  const replies = await Promise.all(Array.from({ length: 500 }, () => send(proxy.port, "/")));
  expect(replies.filter(({ status }) => status === 200)).toHaveLength(10);
  expect(replies.filter(({ status }) => status === 429)).toHaveLength(490);
  expect(proxy.usage("a").apiRequests).toBe(10);
  const last = await send(proxy.port, "/");
  expect([last.status, last.headers["x-should-retry"]]).toEqual([429, "false"]);
});

test("where one backend is used up and room at another only reserved, the refusal is short", async () => {
  const release = Promise.withResolvers<void>();
  const upstream = await startUpstream((_request, response) => void release.promise.then(() => response.end("x")));
  const proxy = await startProxy({
    upstreams: { spare: upstream.port, full: upstream.port },
    limits: { spare: { egressBytes: 1 }, full: { apiRequests: 1 } },
  });
  proxy.tracker.record("full", { apiRequests: 1 });
  const first = send(proxy.port, "/");
  await expect.poll(() => proxy.upstream("spare").inFlight).toBe(1);
  delayed(await send(proxy.port, "/"));
  release.resolve();
  await first;
  expect((await send(proxy.port, "/")).headers["x-should-retry"]).toBe("false");
});

test("what a reservation holds follows the pace, from one glance to the next", async () => {
  const { tracker, held } = await startSink({});
  const one = reserve(tracker, 1_000_000);
  const glances = (count: number, bytes: number): number => {
    for (let at = 0; at < count; at++) {
      one.ingress.count(bytes);
      one.glance();
    }
    return held("a").ingressBytes;
  };
  expect(glances(3, 0)).toBe(1_000_000);
  expect(glances(1, 0)).toBe(500_000);
  expect(glances(40, 0)).toBe(1);
  expect(glances(1, 1_000)).toBe(60_000);
  expect(glances(1, 99_000)).toBe(900_000);
  expect(glances(1, 1_000_000)).toBe(0);
  one.release();
  expect(held("a")).toEqual({ apiRequests: 0, egressBytes: 0, ingressBytes: 0 });
});

test("what a reservation finds no room for it holds as soon as there is some", async () => {
  const { tracker, held } = await startSink({ a: { egressBytes: 1_000 } });
  const [one, other] = [reserve(tracker, 0), reserve(tracker, 0)];
  one.expectEgress(800);
  other.expectEgress(800);
  expect(held("a").egressBytes).toBe(1_000);
  one.release();
  expect(held("a").egressBytes).toBe(200);
  for (let at = 0; at < 4; at++) {
    other.egress.count(20);
    other.glance();
  }
  expect(held("a").egressBytes).toBe(720);
  other.egress.count(1_500);
  other.release();
  expect(held("a").egressBytes).toBe(0);
  expect(tracker.counter.totalAll("a").egressBytes).toBe(1_580);
});
