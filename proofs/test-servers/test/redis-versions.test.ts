import type { RedisVersion } from "@usage/test-servers";
import { describe, expect, it } from "vitest";
import { redis } from "./support/started.ts";

describe("startRedis, told a version", () => {
  it.each<RedisVersion>(["Redis 6.0", "Redis 7.0", "Redis 8.0", "Valkey 8.1"])(
    "starts %s, which runs scripts and keeps its data",
    async (version) => {
      const server = await redis({ version, config: { appendonly: "yes", appendfsync: "always" } });
      expect(server.version.startsWith(`${version}.`)).toBe(true);
      expect(await server.command("EVAL", "return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, "key", 5)).toBe(5);
      await server.kill();
      await server.start();
      expect(await server.command("GET", "key")).toBe("5");
    },
  );
});
