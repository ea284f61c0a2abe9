import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { accepts } from "./support/accepts.ts";
import { redis } from "./support/started.ts";

describe("startRedis", () => {
  it("starts a server that says what it is, and deletes its data when it is stopped", async () => {
    const server = await redis();
    expect(server.version).toMatch(/^(Redis|Valkey) \d+\.\d+\.\d+/);
    expect(await server.command("SET", "key", 7)).toBe("OK");
    expect(await server.command("GET", "key")).toBe("7");
    const folder = String(await server.command("CONFIG", "GET", "dir")).slice("dir,".length);
    expect(existsSync(folder)).toBe(true);
    await server.stop();
    await server.stop();
    expect(await accepts(server.url)).toBe(false);
    await expect(server.command("PING")).rejects.toThrow("ECONNREFUSED");
    expect(existsSync(folder)).toBe(false);
  });

  it("asks for the password that it is given", async () => {
    const server = await redis({ config: { requirepass: "p@ss:word/é" } });
    expect(await server.command("PING")).toBe("PONG");
    const stranger = new Redis(server.port, { lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null });
    onTestFinished(() => stranger.disconnect());
    stranger.on("error", () => {});
    await expect(stranger.get("key")).rejects.toThrow("NOAUTH");
  });

  it("loses what it holds when it is killed, unless it is told to keep it", async () => {
    for (const [config, kept] of [
      [{}, null],
      [{ appendonly: "yes", appendfsync: "always" }, "1"],
    ] as const) {
      const server = await redis({ config });
      await server.command("SET", "key", 1);
      await server.kill();
      await server.kill();
      expect(await accepts(server.url)).toBe(false);
      await server.start();
      expect(await server.command("GET", "key")).toBe(kept);
      await server.stop();
    }
  });

  it("starts again without its data", async () => {
    const server = await redis({ config: { appendonly: "yes" } });
    await server.command("SET", "key", 1);
    await server.startEmpty();
    expect(await server.command("DBSIZE")).toBe(0);
    await server.kill();
    await server.startEmpty();
    expect(await server.command("DBSIZE")).toBe(0);
  });

  it.each(["no", "yes"])("starts again with the data of a snapshot, with appendonly %s", async (appendonly) => {
    const server = await redis({ config: { appendonly } });
    await server.command("SET", "key", "old");
    const snapshot = await server.snapshot();
    await server.command("MSET", "key", "new", "another", "new");
    await server.startFrom(snapshot);
    expect(await server.command("MGET", "key", "another")).toEqual(["old", null]);
    await server.kill();
    await server.start();
    expect(await server.command("MGET", "key", "another")).toEqual(["old", null]);
  });

  it("answers nothing while it is paused, and everything afterwards", async () => {
    const server = await redis();
    server.pause();
    const reply = server.command("SET", "key", 1);
    expect(await Promise.race([reply, sleep(300, "nothing")])).toBe("nothing");
    server.resume();
    expect(await reply).toBe("OK");
  });

  it("is killed while it is paused", async () => {
    const server = await redis();
    server.pause();
    await server.kill();
    await server.start();
    expect(await server.command("PING")).toBe("PONG");
  });

  it("says why it does not start, and leaves nothing behind", async () => {
    const folder = await mkdtemp(join(tmpdir(), "usage-refused-"));
    vi.stubEnv("TMPDIR", folder);
    onTestFinished(() => rm(folder, { recursive: true }));
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    await expect(redis({ config: { appendonly: "maybe" } })).rejects.toThrow("argument must be 'yes' or 'no'");
    expect(await readdir(folder)).toEqual([]);
  });

  it("refuses to be started twice, and to be paused when it does not run", async () => {
    const server = await redis();
    await expect(server.start()).rejects.toThrow("runs already");
    await server.kill();
    expect(() => server.pause()).toThrow("does not run");
  });
});
