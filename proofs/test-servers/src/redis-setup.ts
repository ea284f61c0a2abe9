import type { TestProject } from "vitest/node";
import { startRedis } from "./redis.ts";
import { redisInfo } from "./redis-command.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of a Redis in which a test may use keys under a random prefix of its own, and nothing else. */
    readonly redisUrl: string;
  }
}

/** A `globalSetup` for vitest: provides `redisUrl`, of the server in REDIS_URL or of one started for this run. */
export async function setup(project: Pick<TestProject, "provide">): Promise<() => Promise<void>> {
  const given = process.env.REDIS_URL;
  if (given !== undefined && given !== "") {
    const info = await redisInfo(given);
    // Valkey names the Redis that it is compatible with, too.
    const version = info.has("valkey_version")
      ? `Valkey ${info.get("valkey_version")}`
      : `Redis ${info.get("redis_version")}`;
    console.log(`Redis: the one in REDIS_URL, ${version}`);
    project.provide("redisUrl", given);
    return async () => {};
  }
  const server = await startRedis();
  project.provide("redisUrl", server.url);
  console.log(`Redis: ${server.version}`);
  return server.stop;
}
