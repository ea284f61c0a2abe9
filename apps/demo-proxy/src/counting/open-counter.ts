import { LocalCounterBackend } from "@usage/counter-core";
import type { CounterConfig } from "../config/proxy-config.ts";
import { type CounterOptions, NEVER_IDLE_MS, type OpenedCounter } from "./opened-counter.ts";

/** Makes the configured counter, which holds no backends yet. Another kind is one more case. */
export async function openCounter(config: CounterConfig, options: CounterOptions): Promise<OpenedCounter> {
  switch (config.kind) {
    case "local":
      return openLocalCounter(options);
    case "redis": {
      // Imported only where it is configured: nobody else needs the client.
      const { openRedisCounter } = await import("./redis-counter.ts");
      return openRedisCounter(config, options);
    }
  }
}

function openLocalCounter({ clock, dimensions }: CounterOptions): OpenedCounter {
  const options = { clock, idleMs: NEVER_IDLE_MS, ...(dimensions && { dimensions }) };
  return {
    counter: new LocalCounterBackend([], options),
    beside: async ({ periods }) => new LocalCounterBackend([], { ...options, periods }),
    close: async () => {},
  };
}
