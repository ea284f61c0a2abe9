import type { Sharing } from "../open-counter.ts";

/** How often something happened to the counts that are shared. */
export class RedisEvents {
  /** Backends whose shared counts were lost. */
  lost = 0;
  /** Shared counts that could not be used. */
  refused = 0;
  /** How often Redis was given up on. */
  away = 0;

  constructor({ events }: Pick<Sharing, "events">) {
    events.on("lost", ({ backends }) => {
      this.lost += backends.length;
    });
    events.on("refused", () => {
      this.refused += 1;
    });
    events.on("unhealthy", () => {
      this.away += 1;
    });
  }
}
