import { counterBackendContract } from "@usage/counter-core/testing";
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { Redis } from "ioredis";
import { inject } from "vitest";
import { freshPrefix } from "./support/counters.ts";

const clients = new Map<unknown, Redis>();

counterBackendContract("RedisCounterBackend", {
  async create(backends, clock) {
    const client = new Redis(inject("redisUrl"), recommendedClientOptions);
    await new Promise((resolve) => client.once("ready", resolve));
    const counter = await RedisCounterBackend.connect({ client, prefix: freshPrefix(), backends, clock });
    clients.set(counter, client);
    return counter;
  },
  async dispose(counter) {
    await (counter as RedisCounterBackend).close();
    clients.get(counter)?.disconnect();
  },
});
