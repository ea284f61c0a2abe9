import { STORAGE_DIMENSIONS, type Usage } from "@usage/counter-core";
import type { ChainableCommander, Redis } from "ioredis";
import type { RateLimiterRedis } from "rate-limiter-flexible";

export const EXPIRY_SECONDS: number = 40 * 86_400;
const LIMIT = Number.MAX_SAFE_INTEGER;

/** Counts and checks three numbers, each under a key of its own: all three at once, which is the fastest way. */
export async function consumeThree(limiter: RateLimiterRedis, name: string, usage: Usage): Promise<void> {
  await Promise.all(STORAGE_DIMENSIONS.map((dimension) => limiter.consume(`${name}:${dimension}`, usage[dimension])));
}

/** Asks for the totals, and adds to them: a pipeline each, with counters that expire. */
export async function checkAndAdd(redis: Redis, name: string, usage: Usage): Promise<void> {
  const totals = await resultsOf(
    STORAGE_DIMENSIONS.reduce((pipeline, dimension) => pipeline.get(`${name}:${dimension}`), redis.pipeline()),
  );
  STORAGE_DIMENSIONS.forEach((dimension, d) => {
    if (Number(totals[d] ?? 0) + usage[dimension] > LIMIT)
      throw new Error(`${name} is over a limit that nothing can reach`);
  });
  await addAll(redis, [name], usage);
}

/** Adds the same to several backends in one pipeline. */
export async function addAll(redis: Redis, names: readonly string[], usage: Usage): Promise<void> {
  const pipeline = redis.pipeline();
  for (const name of names) {
    for (const dimension of STORAGE_DIMENSIONS) {
      pipeline.incrby(`${name}:${dimension}`, usage[dimension]);
      pipeline.expire(`${name}:${dimension}`, EXPIRY_SECONDS);
    }
  }
  await resultsOf(pipeline);
}

async function resultsOf(pipeline: ChainableCommander): Promise<readonly unknown[]> {
  const replies = await pipeline.exec();
  return (replies ?? []).map(([error, result]) => {
    if (error !== null) throw error;
    return result;
  });
}
