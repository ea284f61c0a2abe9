import { LocalCounterBackend } from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";
import { answer } from "../child.ts";
import { unasked } from "../counters/subjects.ts";
import { backendNames, PLANS } from "./subjects.ts";

/** Megabytes (10^6 bytes) that stay in use. */
export interface MemoryUse {
  readonly counter: number;
  /** The tracker with limits for every backend, without the counter. */
  readonly limits: number;
}

// Argument: the number of backends. Their names are the user's; what is measured is what the packages keep besides.
const names = backendNames(Number(process.argv[2]));
const before = megabytesInUse();
const counter = new LocalCounterBackend(names);
for (const name of names) counter.addAll(name, { apiRequests: 1, egressBytes: 5_000_000, ingressBytes: 700 });
await look();
const withCounter = megabytesInUse();
const tracker = new UsageTracker(counter, {
  store: unasked(counter.dimensions),
  limits: (name) => PLANS[Number(name.at(-1)) % PLANS.length],
});
const withLimits = megabytesInUse();
if (!tracker.withinLimits(names[0] ?? "", { apiRequests: 1 })) throw new Error("the limits are not high enough");
answer({ counter: withCounter - before, limits: withLimits - withCounter } satisfies MemoryUse);

/** What is due at the store is told apart, too. A function, so that nothing of the answer stays. */
async function look(): Promise<void> {
  await counter.tallies();
}

function megabytesInUse(): number {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1e6;
}
