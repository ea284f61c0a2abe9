import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { dial, send } from "./client.ts";
import { refusingPort, respond, startRawUpstream, startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

const NOTHING = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };

describe("an upstream that cannot be reached", () => {
  test("is passed over without being counted, and left alone until its time is over", async () => {
    const upstream = await startUpstream((request, response) => {
      let length = 0;
      request.on("data", (chunk: Buffer) => {
        length += chunk.length;
      });
      request.on("end", () => response.end(String(length)));
    });
    const timers: (() => void)[] = [];
    const clock = {
      now: Date.now,
      elapsed: Date.now,
      after: (_delayMs: number, callback: () => void) => {
        timers.push(callback);
        return () => {};
      },
    };
    const proxy = await startProxy({ upstreams: { gone: await refusingPort(), a: upstream.port }, clock });
    const bodies = [Buffer.alloc(200_000), "x", ["chunk", "ed"]];
    const replies = await Promise.all(bodies.map((body) => send(proxy.port, "/", { method: "PUT", body })));
    expect(replies.map((reply) => reply.text)).toEqual(["200000", "1", "7"]);
    expect(proxy.usage("gone")).toEqual(NOTHING);
    expect(proxy.usage("a")).toMatchObject({ apiRequests: 3, ingressBytes: 200_008 });
    expect(proxy.upstream("gone").isReachable()).toBe(false);
    timers.at(-1)?.();
    expect(proxy.upstream("gone").isReachable()).toBe(true);
  });

  test("is passed over when its name does not resolve, its TLS is none, or it does not answer in time", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
    const silent = await startRawUpstream(() => {});
    const proxy = await startProxy({
      upstreams: {
        unresolved: "http://nowhere.invalid",
        untrusted: `https://127.0.0.1:${upstream.port}`,
        silent: `https://127.0.0.1:${silent.port}`,
        a: upstream.port,
      },
      timeouts: { connectMs: 300 },
    });
    expect((await send(proxy.port, "/")).status).toBe(200);
    for (const name of ["unresolved", "untrusted", "silent"]) {
      expect(proxy.upstream(name).isReachable()).toBe(false);
      expect(proxy.usage(name)).toEqual(NOTHING);
    }
  });

  test("is answered for with 502 when it refuses, 504 when it is silent, 503 while it is known to be away", async () => {
    const refusing = await startProxy({ upstreams: { gone: await refusingPort() } });
    const refused = await send(refusing.port, "/", { method: "PUT", body: Buffer.alloc(100_000) });
    expect([refused.status, refused.headers["content-type"]]).toEqual([502, "application/problem+json"]);
    const again = await send(refusing.port, "/");
    expect([again.status, again.headers["retry-after"]]).toEqual([503, "5"]);
    expect(refusing.usage("gone")).toEqual(NOTHING);
    const quiet = await startRawUpstream(() => {});
    const waiting = await startProxy({
      upstreams: { quiet: `https://127.0.0.1:${quiet.port}` },
      timeouts: { connectMs: 200 },
    });
    expect((await send(waiting.port, "/")).status).toBe(504);
  });
});

describe("a connection that is kept, and closes as the next request comes", () => {
  /** Answers the first request of each connection once it has so many, and closes each with its second. */
  async function startClosing(connections: number, close: (socket: Socket) => void) {
    const answered = new Set<Socket>();
    const asked: string[] = [];
    const upstream = await startRawUpstream((socket, text) => {
      const isFirst = !answered.has(socket);
      asked.push(`${text.split(" ", 2).join(" ")} ${isFirst ? "first" : "again"}`);
      if (!isFirst) return close(socket);
      answered.add(socket);
      const ready = answered.size > connections ? [socket] : answered.size === connections ? answered : [];
      for (const each of ready) each.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    const spare = await startUpstream((_request, response) => respond(response, 200, 0));
    const proxy = await startProxy({ upstreams: { a: upstream.port, spare: spare.port } });
    return { proxy, asked, spare };
  }

  test.each([
    ["in order", (socket: Socket) => socket.end()],
    ["by a reset", (socket: Socket) => socket.resetAndDestroy()],
  ])("has it sent again, once and on a new one, and blames nobody: %s", async (_name, close) => {
    const { proxy, asked, spare } = await startClosing(5, close);
    const first = await Promise.all(Array.from({ length: 5 }, () => send(proxy.port, "/first")));
    expect(first.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const reply = await send(proxy.port, "/second");
    expect([reply.status, reply.text]).toEqual([200, "ok"]);
    expect(asked.slice(5)).toEqual(["GET /second again", "GET /second first"]);
    expect(spare.requests).toEqual([]);
    expect(proxy.upstream("a").trouble).toBeUndefined();
    // It may have been carried out.
    expect(proxy.usage("a")).toEqual({ apiRequests: 7, egressBytes: 12, ingressBytes: 0 });
  });

  test.each([
    ["POST", {}, 502],
    ["POST", { "idempotency-key": "k" }, 200],
    ["DELETE", {}, 200],
    ["PATCH", {}, 502],
  ])("has %s with %o answered %i", async (method, headers, status) => {
    const { proxy, asked } = await startClosing(1, (socket) => socket.end());
    await send(proxy.port, "/first");
    expect((await send(proxy.port, "/second", { method, headers })).status).toBe(status);
    expect(asked.slice(1)).toHaveLength(status === 200 ? 2 : 1);
  });

  test("does not have it sent again with a body, or once its answer has begun", async () => {
    const { proxy } = await startClosing(1, (socket) => socket.end());
    await send(proxy.port, "/first");
    expect((await send(proxy.port, "/", { method: "PUT", body: "x" })).status).toBe(502);
    const begun = await startClosing(1, (socket) => socket.end("HTTP/1.1 103 Early Hints\r\n\r\n"));
    await send(begun.proxy.port, "/first");
    expect((await send(begun.proxy.port, "/second")).status).toBe(502);
    expect(begun.asked).toHaveLength(2);
  });
});

describe("a request that was begun", () => {
  test.each([
    ["is reset", (socket: { resetAndDestroy(): void }) => socket.resetAndDestroy()],
    ["is closed", (socket: { destroy(): void }) => socket.destroy()],
    ["answers nonsense", (socket: { end(text: string): void }) => socket.end("SSH-2.0-x\r\n\r\n")],
    [
      "answers two lengths",
      (socket: { end(text: string): void }) =>
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    ],
    [
      "switches protocols",
      (socket: { write(text: string): void }) =>
        socket.write("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
    ],
    [
      "switches without a word",
      (socket: { write(text: string): void }) => socket.write("HTTP/1.1 101 Switching\r\n\r\n"),
    ],
  ])("is not sent again when its connection %s: 502, and counted once", async (_name, answer) => {
    const upstream = await startRawUpstream((socket) => answer(socket));
    const spare = await startUpstream((_request, response) => respond(response, 200, 0));
    const proxy = await startProxy({ upstreams: { a: upstream.port, spare: spare.port } });
    const reply = await send(proxy.port, "/once");
    expect(reply.status).toBe(502);
    expect(reply.text).not.toContain(String(upstream.port));
    expect(upstream.received().split("GET /once").length - 1).toBe(1);
    expect(spare.requests).toHaveLength(0);
    expect([proxy.usage("a").apiRequests, proxy.usage("spare").apiRequests]).toEqual([1, 0]);
  });

  test("is answered 504 when no head comes in time, and the client's connection goes on", async () => {
    const upstream = await startRawUpstream(() => {});
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: { headersMs: 200 } });
    const client = await dial(proxy.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.until("504 Gateway Timeout");
    expect(proxy.usage("a").apiRequests).toBe(1);
    client.socket.write("GET /.. HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.until("400 Bad Request");
    client.socket.destroy();
  });

  test("is broken off when the upstream falls silent within the body", async () => {
    const upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { "content-length": 10 }).write("half");
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: { idleMs: 300 } });
    await expect(send(proxy.port, "/")).rejects.toThrow(/aborted|hang up/);
    await proxy.settled();
    expect(proxy.usage("a").egressBytes).toBe(4);
  });

  test("is answered 504 when the upstream does not read the body", async () => {
    const upstream = await startRawUpstream(() => {});
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: { headersMs: 500 } });
    const client = await dial(proxy.port, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\n\r\n");
    client.socket.write("x");
    await expect.poll(() => upstream.connections.length).toBe(1);
    upstream.connections[0]?.pause();
    client.socket.write(Buffer.alloc(60_000_000));
    await client.until("504 Gateway Timeout");
    client.socket.destroy();
  });
});
