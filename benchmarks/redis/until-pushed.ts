import { setTimeout as sleep } from "node:timers/promises";
import type { RedisCounterBackend } from "@usage/counter-redis";

/**
 * Waits until a counter knows that all is shared of backends that changed at once, and looks every millisecond.
 *
 * It looks at some in each call: what is sent together is in the order of the names, and looking at all of them would be a
 * good part of the work that is timed. `isPushed` tells afterwards.
 */
export async function untilPushed(counter: RedisCounterBackend, names: readonly string[]): Promise<void> {
  const watched = names.filter((_, i) => i % 25 === 24);
  for (let at = 0; ; await sleep(1)) {
    while (at < watched.length && isPushed(counter, watched[at] as string)) at++;
    if (at === watched.length) return;
  }
}

export function isPushed(counter: RedisCounterBackend, name: string): boolean {
  return Object.values(counter.unpushedAll(name)).every((amount) => amount === 0);
}
