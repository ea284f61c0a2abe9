import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dial, send } from "./client.ts";
import { startRawUpstream, startUpstream } from "./node-upstream.ts";
import { startProxy } from "./proxy-fixture.ts";

const GIBIBYTE = 2 ** 30;
const chunk = Buffer.alloc(65_536, "x");
const child = spawn(process.execPath, [fileURLToPath(new URL("./bulk-upstream.ts", import.meta.url))], {
  stdio: ["pipe", "pipe", "inherit"],
});
let bulkPort = 0;

beforeAll(async () => {
  const [line] = await once(child.stdout, "data");
  bulkPort = Number(line);
});
afterAll(() => {
  child.stdin.end();
});

/**
 * By how much this process was larger in the second half of `work` than it had been in the first, in bytes. The garbage of
 * streams comes and goes; a process that keeps what passes through it would grow by half of it.
 */
async function growthDuring(work: () => Promise<void>): Promise<number> {
  const sizes = [process.memoryUsage.rss()];
  const timer = setInterval(() => void sizes.push(process.memoryUsage.rss()), 50);
  await work().finally(() => clearInterval(timer));
  const half = sizes.length >> 1;
  return Math.max(...sizes.slice(half)) - Math.max(...sizes.slice(0, half));
}

/** Waits until an amount has begun to grow, and then did not for a while. */
async function untilStill(amount: () => number): Promise<void> {
  let before = 0;
  const still = (): boolean => {
    const now = amount();
    const same = now > 0 && now === before;
    before = now;
    return same;
  };
  await expect.poll(still, { interval: 300, timeout: 20_000 }).toBe(true);
}

test("a download of 2 GiB is counted to the byte without the process growing", async () => {
  const proxy = await startProxy({ upstreams: { a: bulkPort } });
  const bytes = 2 * GIBIBYTE + 3;
  const growth = await growthDuring(async () => {
    const client = await dial(proxy.port);
    client.socket.removeAllListeners("data");
    let received = 0;
    client.socket.on("data", (part) => {
      received += part.length;
    });
    client.socket.write(`GET /${bytes} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    await client.closed;
    expect(received).toBeGreaterThan(bytes);
  });
  expect(proxy.usage("a")).toEqual({ apiRequests: 1, egressBytes: bytes, ingressBytes: 0 });
  expect(growth).toBeLessThan(bytes / 8);
});

test("an upload of 2 GiB is counted to the byte without the process growing", async () => {
  const proxy = await startProxy({ upstreams: { a: bulkPort } });
  const bytes = 2 * GIBIBYTE + 3;
  const growth = await growthDuring(async () => {
    const client = await dial(proxy.port, `PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`);
    for (let left = bytes; left > 0; left -= chunk.length) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
      if (!client.socket.write(part)) await once(client.socket, "drain");
    }
    await client.until(String(bytes));
    client.socket.destroy();
  });
  expect(proxy.usage("a")).toMatchObject({ apiRequests: 1, ingressBytes: bytes });
  expect(growth).toBeLessThan(bytes / 8);
});

test("a client that does not read stops its own upstream connection, and no other", async () => {
  let written = 0;
  const upstream = await startUpstream((request, response) => {
    if (request.url === "/quick") {
      response.end("quick");
      return;
    }
    response.writeHead(200, { "content-length": 400_000_000 });
    const more = (): void => {
      do written += chunk.length;
      while (response.write(chunk));
    };
    response.on("drain", more);
    more();
  });
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const slow = await dial(proxy.port);
  slow.socket.pause();
  slow.socket.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  await untilStill(() => written);
  expect(written).toBeLessThan(50_000_000);
  expect(proxy.usage("a").egressBytes).toBeLessThan(50_000_000);
  for (let at = 0; at < 20; at++) expect((await send(proxy.port, "/quick")).text).toBe("quick");
  slow.socket.resume();
  await expect.poll(() => proxy.usage("a").egressBytes, { timeout: 20_000 }).toBeGreaterThan(100_000_000);
  slow.socket.destroy();
});

test("an upstream that does not read stops the client's upload", async () => {
  const upstream = await startRawUpstream(() => {});
  const proxy = await startProxy({ upstreams: { a: upstream.port } });
  const client = await dial(proxy.port, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 400000000\r\n\r\nx");
  await expect.poll(() => upstream.connections.length).toBe(1);
  upstream.connections[0]?.pause();
  client.socket.write(Buffer.alloc(100_000_000));
  await untilStill(() => proxy.usage("a").ingressBytes);
  expect(proxy.usage("a").ingressBytes).toBeLessThan(50_000_000);
  // One write that large is pending until its last byte was taken.
  expect(client.socket.writableLength).toBeGreaterThan(0);
  upstream.connections[0]?.resume();
  await expect.poll(() => proxy.usage("a").ingressBytes, { timeout: 20_000 }).toBe(100_000_001);
  client.socket.destroy();
});
