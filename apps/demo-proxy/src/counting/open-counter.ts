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

function openLocalCounter({ clock }: CounterOptions): OpenedCounter {
  return { counter: new LocalCounterBackend([], { clock, idleMs: NEVER_IDLE_MS }), close: async () => {} };
}
