import type { Packages } from "./checkout.ts";
import { BACKENDS, limitedTracker } from "./subjects.ts";

const CALLS = 50_000;
const LISTS = 6;

/** Uses counters of six other dimension lists, of one to six dimensions: what V8 learns of loads by name is then a mixture. */
export function useOtherLists(packages: Packages): void {
  for (let list = 1; list <= LISTS; list++) {
    const dimensions = Array.from({ length: list }, (_, place) => `amount${list}of${place}`);
    const tracker = limitedTracker(dimensions, packages);
    const usage = Object.fromEntries(dimensions.map((name) => [name, list]));
    for (let i = 0; i < CALLS; i++) {
      const name = BACKENDS[i & 15] as string;
      if (tracker.withinLimits(name, usage)) tracker.record(name, usage);
      tracker.tryRecord?.(name, usage);
    }
  }
}
