import type { CounterBackend } from "@usage/counter-core";
import { sharedCounterContract } from "@usage/counter-core/testing";
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { startFaultProxy } from "@usage/test-servers";
import { Redis } from "ioredis";
import { inject } from "vitest";
import { freshPrefix } from "./support/counters.ts";

sharedCounterContract("RedisCounterBackend", {
  async open() {
    const url = inject("redisUrl");
    const proxy = await startFaultProxy({ port: Number(new URL(url).port) });
    const admin = new Redis(url);
    const prefix = freshPrefix();
    const clients = new Map<CounterBackend, Redis>();
    return {
      async create() {
        const client = new Redis(proxy.url(url), { ...recommendedClientOptions, retryStrategy: () => 50 });
        client.on("error", () => {});
        const counter = await RedisCounterBackend.connect({
          client,
          prefix,
          backends: ["oci", "b2"],
          probeIntervalMs: 100,
        });
        clients.set(counter, client);
        return counter;
      },
      cut: () => proxy.refuse(),
      heal: () => proxy.heal(),
      async wipe() {
        const keys = await admin.keys(`${prefix}*`);
        if (keys.length > 0) await admin.del(keys);
      },
      kill: (counter) => clients.get(counter)?.disconnect(),
      async dispose() {
        await proxy.heal();
        for (const counter of clients.keys()) await (counter as RedisCounterBackend).close();
        for (const client of clients.values()) client.disconnect();
        admin.disconnect();
        await proxy.close();
      },
    };
  },
});
