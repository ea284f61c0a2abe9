import type { RedisEvent } from "@usage/counter-redis";

/** How often something happened to the counts that are shared. */
export class RedisTally {
  /** Backends whose shared counts were lost. */
  lost = 0;
  /** Shared counts that could not be used. */
  refused = 0;
  /** How often Redis was given up on. */
  away = 0;
  /** How often something else that needs Redis failed: dead instances' counts could not be looked for, say. */
  failed = 0;
  #isAway = false;

  add(event: RedisEvent): void {
    switch (event.kind) {
      case "lost":
        this.lost += event.backends.length;
        break;
      case "refused":
        this.refused += 1;
        break;
      case "unhealthy":
        // Told again when more is known of the reason.
        if (!this.#isAway) this.away += 1;
        this.#isAway = true;
        break;
      case "failed":
        this.failed += 1;
        break;
      case "healthy":
        this.#isAway = false;
        break;
    }
  }
}
