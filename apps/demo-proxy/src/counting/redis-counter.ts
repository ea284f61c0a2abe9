import { RedisCounterBackend, type RedisEvent } from "@usage/counter-redis";
import type { RedisConfig } from "../config/proxy-config.ts";
import {
  type CounterBeside,
  type CounterOptions,
  CounterStartError,
  NEVER_IDLE_MS,
  type OpenedCounter,
  type Sharing,
} from "./opened-counter.ts";
import { explained, redisClientOf } from "./redis-client.ts";
import { RedisTally } from "./redis-tally.ts";
import { TimedRedis } from "./timed-redis.ts";

const ABOUT_COUNTS: readonly RedisEvent["kind"][] = ["lost", "refused", "forgiven", "failed"];

/** @throws CounterStartError when Redis cannot be reached or used, within 5 seconds; nothing is left open then. */
export async function openRedisCounter(config: RedisConfig, options: CounterOptions): Promise<OpenedCounter> {
  const client = redisClientOf(config);
  // Without a listener the client writes its errors to the console. Once it works, the counter tells what happens.
  let lastError: unknown;
  client.on("error", (error: unknown) => {
    lastError = error;
  });
  try {
    const timed = new TimedRedis(client);
    const { prefix, enforcement = "approximate", forgiveAfterMs } = config;
    const { clock, dimensions, onRedis, claim } = options;
    const common = {
      client: timed,
      clock,
      ...(dimensions && { dimensions }),
      idleMs: NEVER_IDLE_MS,
      ...(forgiveAfterMs !== undefined && { forgiveAfterMs }),
      ...(claim && { claim }),
    };
    const counter = await RedisCounterBackend.connect({ ...common, prefix, enforcement });
    // Before anything is waited for: what happened while the counter was opened is told right after.
    const events = new RedisTally();
    counter.onEvent((event) => events.add(event));
    if (onRedis !== undefined) counter.onEvent(onRedis);
    const sharing: Sharing = {
      isHealthy: () => counter.isHealthy(),
      lastError: () => counter.lastError(),
      sharedAtMs: () => counter.sharedAtMs(),
      unpushedAll: (backend) => counter.unpushedAll(backend),
      forgive: (backend) => counter.forgive(backend),
      events,
      durations: timed.durations,
    };
    const beside = async ({ periods, name, mayBeExact }: CounterBeside): Promise<RedisCounterBackend> => {
      const another = await RedisCounterBackend.connect({
        ...common,
        prefix: `${prefix}:${name}`,
        enforcement: mayBeExact ? enforcement : "approximate",
        periods,
      });
      // Whether Redis is there, and what is wrong with it as a whole, the first one tells.
      another.onEvent((event) => {
        if (!ABOUT_COUNTS.includes(event.kind)) return;
        events.add(event);
        onRedis?.(event);
      });
      return another;
    };
    const close = async (): Promise<void> => {
      await counter.close();
      client.disconnect();
    };
    return { counter, sharing, beside, close };
  } catch (error) {
    // Without a connection, only the client knows why there is none.
    const cause = client.status === "ready" ? error : (lastError ?? error);
    client.disconnect();
    throw new CounterStartError(config, explained(cause));
  }
}
