import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { AdminServer } from "../../src/admin/server.ts";
import type { Address } from "../../src/config/address.ts";
import { startApp, testConfig } from "../support/app.ts";

/** A connection that sends a byte of the text every 200 ms, over and over its last one, until the other side has had enough. */
async function trickle(to: Address, text: string): Promise<{ readonly answer: string; readonly afterMs: number }> {
  const socket = await open(to);
  let answer = "";
  socket.on("data", (chunk) => {
    answer += String(chunk);
  });
  const begun = performance.now();
  let at = 0;
  const timer = setInterval(() => socket.write(text[Math.min(at++, text.length - 1)] ?? ""), 200);
  await once(socket, "close").finally(() => clearInterval(timer));
  return { answer, afterMs: performance.now() - begun };
}

async function open({ host, port }: Address): Promise<Socket> {
  const socket = connect(port, host);
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function start(): Promise<Address> {
  const config = testConfig([{ name: "oci", url: new URL("http://127.0.0.1:9"), limits: {} }]);
  return (await startApp(config)).admin;
}

describe("a client of the admin listener that takes its time", () => {
  // Without checks at short intervals it takes 17 to 30 s.
  it.each([
    ["a head that does not end", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: x"],
    ["no head at all", ""],
  ])("gets 5 seconds for %s", { timeout: 60_000 }, async (_, text) => {
    const { answer, afterMs } = await trickle(await start(), text);
    expect(answer).toMatch(/^(HTTP\/1\.1 408 |$)/);
    expect(afterMs).toBeGreaterThan(4_900);
    expect(afterMs).toBeLessThan(12_000);
  });

  it("gets 10 seconds for a grant whose body does not end", { timeout: 60_000 }, async () => {
    const head = "POST /api/backends/oci/grants HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n";
    const socket = await open(await start());
    let answer = "";
    socket.on("data", (chunk) => {
      answer += String(chunk);
    });
    const begun = performance.now();
    socket.write(head);
    const timer = setInterval(() => socket.write(" "), 200);
    await once(socket, "close").finally(() => clearInterval(timer));
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(performance.now() - begun).toBeGreaterThan(9_900);
    expect(performance.now() - begun).toBeLessThan(20_000);
  });

  it("gets its answer without the body that it is still sending, and is let go", { timeout: 60_000 }, async () => {
    const head = "POST /api/flush HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n";
    const socket = await open(await start());
    let answer = "";
    socket.on("data", (chunk) => {
      answer += String(chunk);
    });
    socket.write(head);
    const timer = setInterval(() => socket.write("x"), 200);
    await once(socket, "close").finally(() => clearInterval(timer));
    expect(answer).toMatch(/^HTTP\/1\.1 200 .*connection: close/is);
  });

  it("is cut off when it does not read, and not while it reads, however slowly", { timeout: 60_000 }, async () => {
    const bytes = Array(1_000).fill(Buffer.alloc(100_000, "x"));
    const routes = [{ path: "/big", methods: { GET: () => ({ status: 200, headers: {}, bytes }) } }];
    const server = new AdminServer({ routes, guard: () => undefined, silenceMs: 500 });
    const address = await server.listen({ host: "127.0.0.1", port: 0 });
    onTestFinished(() => server.close());
    const request = "GET /big HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    const readers = [await open(address), await open(address)].map((socket) => {
      const reader = { socket, received: 0 };
      socket.on("data", (chunk) => {
        reader.received += chunk.length;
      });
      socket.pause().write(request);
      return reader;
    });
    const [still, slow] = readers;
    if (still === undefined || slow === undefined) throw new Error("there are two");
    const read = (): void => void slow.socket.once("data", () => slow.socket.pause()).resume();
    const timer = setInterval(read, 10);
    // What the kernels may hold of it, 16 MiB, counts as read by the slowest that is allowed.
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    clearInterval(timer);
    for (const { socket } of readers) socket.resume();
    await Promise.all(readers.map(({ socket }) => once(socket, "close")));
    expect(still.received).toBeLessThan(100_000_000);
    expect(slow.received).toBeGreaterThan(100_000_000);
  });
});
