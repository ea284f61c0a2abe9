import type { EventEmitter } from "node:events";
import type { RedisCounterEvents } from "@usage/counter-redis";

/** How often something happened to the counts that are shared, and why they are not being shared. */
export class RedisEvents {
  /** Backends whose shared counts were lost. */
  lost = 0;
  /** Shared counts that could not be used. */
  refused = 0;
  /** How often Redis was given up on. */
  away = 0;
  /** Why it was given up on; undefined while it is not. */
  lastError: unknown;

  constructor(events: Pick<EventEmitter<RedisCounterEvents>, "on">) {
    events.on("lost", ({ backends }) => {
      this.lost += backends.length;
    });
    events.on("refused", () => {
      this.refused += 1;
    });
    events.on("unhealthy", (error) => {
      this.away += 1;
      this.lastError = error;
    });
    events.on("healthy", () => {
      this.lastError = undefined;
    });
  }
}
