import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";

const RESOLUTION_MS = 1;

/** Tells the longest that the event loop was held from now on. It contains what other processes take from this one. */
export async function watchLoop(): Promise<{ heldMs(): Promise<number> }> {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  // It measures from one of its ticks to the next: the first has to be over.
  await sleep(20);
  delay.reset();
  return {
    async heldMs() {
      // The monitor's timer has to fire once more to see the last hold.
      await sleep(5);
      delay.disable();
      return delay.max / 1e6 - RESOLUTION_MS;
    },
  };
}
