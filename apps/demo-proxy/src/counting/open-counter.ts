import { LocalCounterBackend } from "@usage/counter-core";
import type { CounterConfig } from "../config/proxy-config.ts";
import type { CounterOptions, OpenedCounter } from "./opened-counter.ts";

/** Makes the configured counter. Another kind is one more case. */
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

function openLocalCounter({ backends, clock }: CounterOptions): OpenedCounter {
  const counter = new LocalCounterBackend(backends, { clock });
  return { counter, addBackends: async (names) => counter.addBackends(names), close: async () => {} };
}
