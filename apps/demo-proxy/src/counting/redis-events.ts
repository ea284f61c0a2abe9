import type { EventEmitter } from "node:events";
import type { RedisCounterEvents } from "@usage/counter-redis";

/** How often something happened to the counts that are shared. */
export class RedisEvents {
  /** Backends whose shared counts were lost. */
  lost = 0;
  /** Shared counts that could not be used. */
  refused = 0;
  /** How often Redis was given up on. */
  away = 0;
  /** How often something else that needs Redis failed: dead instances' counts could not be looked for, say. */
  failed = 0;
  #isAway = false;

  constructor(events: Pick<EventEmitter<RedisCounterEvents>, "on">) {
    events.on("lost", ({ backends }) => {
      this.lost += backends.length;
    });
    events.on("refused", () => {
      this.refused += 1;
    });
    events.on("failed", () => {
      this.failed += 1;
    });
    // Told again when more is known of the reason.
    events.on("unhealthy", () => {
      if (!this.#isAway) this.away += 1;
      this.#isAway = true;
    });
    events.on("healthy", () => {
      this.#isAway = false;
    });
  }
}
