import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type RedisServer, startRedis } from "@usage/test-servers";
import { Redis } from "ioredis";
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { faultProxy } from "./support/started.ts";

/** `SET key 12345` and its reply. */
const REQUEST = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\n12345\r\n";
const REPLY = "+OK\r\n";

describe("startFaultProxy", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
    return server.stop;
  });
  beforeEach(async () => {
    await server.command("FLUSHALL");
  });

  /** Connected already, so that only what the test sends passes the proxy from here on. */
  async function client(url: string, { commandTimeout = 10_000 } = {}): Promise<Redis> {
    const client = new Redis(url, {
      lazyConnect: true,
      disableClientInfo: true,
      retryStrategy: () => null,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      commandTimeout,
    });
    client.on("error", () => {});
    onTestFinished(() => client.disconnect());
    await client.connect();
    await client.ping();
    return client;
  }

  it("passes everything on, and counts it", async () => {
    const proxy = await faultProxy(server.port);
    const redis = await client(proxy.url(server.url));
    expect(proxy.connections).toBe(1);
    const { bytesToServer, bytesToClient } = proxy;
    expect(await redis.set("key", "12345")).toBe("OK");
    expect(proxy.bytesToServer - bytesToServer).toBe(REQUEST.length);
    expect(proxy.bytesToClient - bytesToClient).toBe(REPLY.length);
    const large = "x".repeat(5_000_000);
    await redis.set("large", large);
    expect(await redis.get("large")).toBe(large);
  });

  it("leads new connections elsewhere, and leaves the open ones where they are", async () => {
    const other = await startRedis();
    onTestFinished(() => other.stop());
    await other.command("SET", "key", "other");
    await server.command("SET", "key", "first");
    const proxy = await faultProxy(server.port);
    const before = await client(proxy.url(server.url));
    proxy.leadTo(other.port);
    const after = await client(proxy.url(server.url));
    expect([await before.get("key"), await after.get("key")]).toEqual(["first", "other"]);
  });

  it("keeps all of a URL but the place", async () => {
    const proxy = await faultProxy(server.port);
    expect(proxy.url("redis://name:p%40ss@10.0.0.1:6379/3")).toBe(`redis://name:p%40ss@127.0.0.1:${proxy.port}/3`);
  });

  it("swallows what clients send", async () => {
    const proxy = await faultProxy(server.port);
    const redis = await client(proxy.url(server.url), { commandTimeout: 300 });
    proxy.dropRequests = true;
    await expect(redis.set("key", "12345")).rejects.toThrow("timed out");
    expect(await server.command("GET", "key")).toBeNull();
  });

  it("swallows replies to what the server has done", async () => {
    const proxy = await faultProxy(server.port);
    const redis = await client(proxy.url(server.url), { commandTimeout: 300 });
    proxy.dropReplies = true;
    await expect(redis.set("key", "12345")).rejects.toThrow("timed out");
    expect(await server.command("GET", "key")).toBe("12345");
  });

  it.each([
    ["dropRequests", "bytesToServer"],
    ["dropReplies", "bytesToClient"],
  ] as const)(
    "after %s, never passes on a later byte of a connection that lost one, and closes it when it is healed",
    async (fault, passed) => {
      const proxy = await faultProxy(server.port);
      const redis = await client(proxy.url(server.url), { commandTimeout: 300 });
      const before = proxy[passed];
      proxy[fault] = true;
      await expect(redis.get("first")).rejects.toThrow("timed out");
      proxy[fault] = false;
      await expect(redis.get("second")).rejects.toThrow("timed out");
      expect(proxy[passed]).toBe(before);
      const closed = new Promise((resolve) => redis.once("close", resolve));
      await proxy.heal();
      await closed;
      expect(await (await client(proxy.url(server.url))).ping()).toBe("PONG");
    },
  );

  it("cuts a request at each of its bytes, and the server sees exactly those before", async () => {
    const proxy = await faultProxy(server.port);
    for (let bytes = 0; bytes <= REQUEST.length; bytes++) {
      await server.command("DEL", "key");
      const redis = await client(proxy.url(server.url));
      const { bytesToServer, cuts } = proxy;
      proxy.cutAfter(bytes, "toServer");
      await expect(redis.set("key", "12345"), `${bytes} bytes`).rejects.toThrow();
      expect(proxy.bytesToServer - bytesToServer).toBe(bytes);
      expect(proxy.cuts - cuts).toBe(1);
      // The server gets the end of the connection after the bytes: what it does with a whole request, it may still be doing.
      await expect
        .poll(() => server.command("GET", "key"), { message: `${bytes} bytes` })
        .toBe(bytes === REQUEST.length ? "12345" : null);
    }
  });

  it("cuts a reply at each of its bytes, and the server has done all of it", async () => {
    const proxy = await faultProxy(server.port);
    for (let bytes = 0; bytes <= REPLY.length; bytes++) {
      await server.command("DEL", "key");
      const redis = await client(proxy.url(server.url));
      const closed = new Promise((resolve) => redis.once("close", resolve));
      const { bytesToClient } = proxy;
      proxy.cutAfter(bytes, "toClient");
      const reply = redis.set("key", "12345");
      // The driver does not wait for the last byte, the line feed.
      if (bytes >= REPLY.length - 1) expect(await reply).toBe("OK");
      else await expect(reply, `${bytes} bytes`).rejects.toThrow();
      await closed;
      expect(proxy.bytesToClient - bytesToClient).toBe(bytes);
      expect(await server.command("GET", "key"), `${bytes} bytes`).toBe("12345");
    }
  });

  it("lets all bytes before a cut arrive, however many are on their way", async () => {
    const proxy = await faultProxy(server.port);
    await server.command("SET", "large", "x".repeat(20_000_000));
    const socket = connect(proxy.port, "127.0.0.1");
    onTestFinished(() => {
      socket.destroy();
    });
    proxy.cutAfter(15_000_000, "toClient");
    socket.write("GET large\r\n");
    await expect.poll(() => proxy.cuts, { timeout: 10_000 }).toBe(1);
    let received = 0;
    for await (const chunk of socket) received += chunk.length;
    expect(received).toBe(15_000_000);
  });

  it("counts the bytes to a cut over several pieces, and cuts once", async () => {
    const proxy = await faultProxy(server.port);
    const redis = await client(proxy.url(server.url));
    proxy.cutAfter(2 * REQUEST.length + 1, "toServer");
    expect(await redis.set("key", "12345")).toBe("OK");
    expect(await redis.set("key", "12345")).toBe("OK");
    await expect(redis.set("key", "12345")).rejects.toThrow();
    const next = await client(proxy.url(server.url));
    for (let count = 0; count < 5; count++) expect(await next.set("key", "12345")).toBe("OK");
    expect(proxy.cuts).toBe(1);
  });

  it("delays both directions, and keeps the order", async () => {
    const proxy = await faultProxy(server.port);
    const redis = await client(proxy.url(server.url));
    proxy.delayMs = 100;
    const started = performance.now();
    const first = redis.rpush("list", 1);
    await sleep(20);
    proxy.delayMs = 0;
    await Promise.all([first, redis.rpush("list", 2), redis.rpush("list", 3)]);
    expect(performance.now() - started).toBeGreaterThan(95);
    expect(await redis.lrange("list", 0, -1)).toEqual(["1", "2", "3"]);
    proxy.delayMs = 100;
    const again = performance.now();
    await redis.ping();
    expect(performance.now() - again).toBeGreaterThan(195);
  });

  it("is a black hole to old and new connections, and what was sent arrives late", async () => {
    const proxy = await faultProxy(server.port);
    const redis = await client(proxy.url(server.url));
    const gone = await client(proxy.url(server.url));
    proxy.blackHole = true;
    const reply = redis.set("key", "12345");
    gone.set("from a client that is gone", "1").catch(() => {});
    await sleep(50);
    gone.disconnect();
    const newcomer = new Redis(proxy.url(server.url), { connectTimeout: 5_000, retryStrategy: () => null });
    newcomer.on("error", () => {});
    onTestFinished(() => newcomer.disconnect());
    const pong = newcomer.ping();
    expect(await Promise.race([reply, pong, sleep(300, "nothing")])).toBe("nothing");
    expect(await server.command("DBSIZE")).toBe(0);
    await proxy.heal();
    expect(await reply).toBe("OK");
    expect(await pong).toBe("PONG");
    await expect.poll(() => server.command("GET", "from a client that is gone")).toBe("1");
  });

  it("refuses connections, closes those that are open, and takes them again at the same port", async () => {
    const proxy = await faultProxy(server.port);
    const redis = await client(proxy.url(server.url));
    const closed = new Promise((resolve) => redis.once("close", resolve));
    await proxy.refuse();
    await proxy.refuse();
    await closed;
    await expect(client(proxy.url(server.url))).rejects.toThrow();
    await proxy.heal();
    expect(await (await client(proxy.url(server.url))).ping()).toBe("PONG");
  });

  it("closes a client's connection when the server's closes", async () => {
    const proxy = await faultProxy(server.port);
    const redis = await client(proxy.url(server.url));
    const closed = new Promise((resolve) => redis.once("close", resolve));
    await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await closed;
  });
});
