import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { FakeClock } from "../support/fake-clock.ts";
import { dial } from "./client.ts";
import { respond, startRawUpstream, startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

const GET = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const PUT = "PUT / HTTP/1.1\r\nHost: x\r\n";
/** Longer than a trickle's interval by far, shorter than a test by farther. */
const SHORT = { idleMs: 400, headersMs: 400 };

/** Writes the same bytes again and again, far more often than silence may last, until the connection is gone. */
function trickle(socket: Socket, bytes: string): void {
  const timer = setInterval(() => socket.write(bytes, "latin1"), 50);
  const stop = (): void => clearInterval(timer);
  socket.on("close", stop);
  onTestFinished(stop);
}

describe("a client that trickles", () => {
  test.each([
    ["the extension of a chunk", "1;", "x"],
    ["trailers", "1\r\nx\r\n0\r\n", "X-A: b\r\n"],
  ])("%s: no body comes by that, 408", async (_name, begin, more) => {
    const upstream = await startRawUpstream(() => {});
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: SHORT });
    const client = await dial(proxy.port, `${PUT}Transfer-Encoding: chunked\r\n\r\n${begin}`);
    trickle(client.socket, more);
    await client.closed;
    expect(client.text()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test.each([
    ["a body", `${PUT}Content-Length: 1000000\r\n\r\nx`, "x"],
    ["requests", GET, GET],
    ["the head of a request", `${GET}GET /`, "x"],
  ])("%s: nothing is read by that, and its response is cut off", async (_name, begin, more) => {
    const upstream = await startUpstream((request, response) => {
      request.resume();
      respond(response, 200, 50_000_000);
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: { idleMs: 400 } });
    const client = await dial(proxy.port);
    client.socket.pause();
    client.socket.write(begin);
    await expect.poll(() => proxy.usage("a").egressBytes).toBeGreaterThan(0);
    trickle(client.socket, more);
    await expect.poll(() => proxy.server.connections).toBe(0);
    expect(proxy.usage("a").egressBytes).toBeLessThan(50_000_000);
  });

  test("empty lines: nothing is asked by that, and its connection is closed", async () => {
    const upstream = await startUpstream((_request, response) => respond(response, 200, 0));
    const clock = new FakeClock(0);
    const proxy = await startProxy({ upstreams: { a: upstream.port }, clock });
    const client = await dial(proxy.port, GET);
    await client.until("HTTP/1.1 200");
    trickle(client.socket, "\r\n");
    for (let at = 0; at < 12; at++) {
      clock.advance(5_000);
      await sleep(1);
    }
    client.socket.write(GET);
    await client.until("HTTP/1.1 200", 2);
    clock.advance(200_000);
    await client.closed;
  });

  test("its body may take as long as it moves", async () => {
    const upstream = await startUpstream((request, response) => {
      request.resume().on("end", () => respond(response, 200, 0));
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: SHORT });
    const client = await dial(proxy.port, `${PUT}Transfer-Encoding: chunked\r\n\r\n`);
    trickle(client.socket, "1\r\nx\r\n");
    await sleep(1_500);
    expect(client.text()).toBe("");
    expect(proxy.server.inFlight).toBe(1);
    client.socket.destroy();
  });
});

describe("an upstream that trickles", () => {
  test.each([
    ["interim responses", "HTTP/1.1 103 Early Hints\r\n\r\n"],
    ["the head of its response", "X"],
  ])("%s: nothing is answered by that, 504", async (_name, more) => {
    const upstream = await startRawUpstream((socket) => {
      if (more === "X") socket.write("HTTP/1.1 200 OK\r\nX-A: ");
      trickle(socket, more);
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: SHORT });
    const client = await dial(proxy.port, GET);
    await expect.poll(client.text, { timeout: 10_000 }).toMatch(/^HTTP\/1\.1 504 /);
    client.socket.destroy();
    await expect.poll(() => upstream.connections[0]?.destroyed).toBe(true);
  });

  test.each([
    ["the extension of a chunk", "1;", "x"],
    ["trailers", "1\r\nx\r\n0\r\n", "X-A: b\r\n"],
  ])("%s: no body comes by that, and its response is broken off", async (_name, begin, more) => {
    const upstream = await startRawUpstream((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${begin}`);
      trickle(socket, more);
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: SHORT });
    const client = await dial(proxy.port, GET);
    await client.closed;
    expect(client.text()).not.toContain("\r\n0\r\n");
    await proxy.settled();
  });

  test("a body without end: it goes on", async () => {
    const upstream = await startRawUpstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      trickle(socket, "1\r\nx\r\n");
    });
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: SHORT });
    const client = await dial(proxy.port, GET);
    await sleep(1_500);
    expect(client.socket.destroyed).toBe(false);
    expect(proxy.usage("a").egressBytes).toBeGreaterThan(10);
    client.socket.destroy();
  });

  test("nothing, and reads nothing, however busy its client is with sending: 504", async () => {
    const upstream = await startRawUpstream((socket) => void socket.pause());
    const proxy = await startProxy({ upstreams: { a: upstream.port }, timeouts: SHORT });
    const client = await dial(proxy.port, `${PUT}Content-Length: 90000000\r\n\r\n`);
    await expect.poll(() => upstream.connections.length).toBe(1);
    client.socket.write(Buffer.alloc(12_000_000));
    trickle(client.socket, "x");
    await client.until("HTTP/1.1 504");
    client.socket.destroy();
  });
});

describe("a client that floods its own body with what is no chunk", () => {
  test("is refused once, and is over", async () => {
    const upstream = await startRawUpstream(() => {});
    const proxy = await startProxy({ upstreams: { a: upstream.port } });
    const client = await dial(proxy.port, `${PUT}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`);
    await expect.poll(() => proxy.usage("a").ingressBytes).toBe(5);
    client.socket.write("Z".repeat(5_000_000));
    await client.closed;
    await expect.poll(() => proxy.server.inFlight).toBe(0);
  });
});
