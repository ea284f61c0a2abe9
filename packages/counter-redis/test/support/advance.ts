import { setImmediate as turn } from "node:timers/promises";
import type { ManualClock } from "@usage/counter-core/testing";
import type { TappedClient } from "./tapped-client.ts";

/** Lets time pass, and waits until nothing more comes of it: no command is under way, and nothing follows from the last. */
export async function advance(clock: ManualClock, tapped: TappedClient, ms: number): Promise<void> {
  clock.advance(ms);
  await settled(tapped);
}

/** Waits until no command is under way, and nothing follows from the last one. */
export async function settled(tapped: TappedClient): Promise<void> {
  for (let quiet = 0; quiet < 3; quiet++) {
    await turn();
    if (tapped.pending > 0) quiet = 0;
  }
}
