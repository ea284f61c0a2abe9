import { LocalCounterBackend } from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";
import { answer } from "../child.ts";
import { unasked } from "../counters/subjects.ts";
import { interleave, roundsOf } from "../rounds.ts";
import { backendNames, PLANS } from "./subjects.ts";

export type NearLimitTimes = Record<"nearLimit" | "bare", number[]>;

const names = backendNames(100_000);
const counter = new LocalCounterBackend(names);
const tracker = new UsageTracker(counter, { store: unasked(counter.dimensions), limits: () => PLANS[0] });
for (const name of names) tracker.record(name, { apiRequests: 1, egressBytes: 5_000_000, ingressBytes: 700 });

// What a program without names would do: one pass over two arrays.
const totals = new Float64Array(3 * names.length).fill(1);
const limits = new Float64Array(3 * names.length).fill(1e6);

const times: NearLimitTimes = await interleave(
  {
    nearLimit: () => milliseconds(() => tracker.nearLimit(0.8)),
    bare: () => milliseconds(() => anyNear(0.8)),
  },
  roundsOf({ rounds: 41, warmups: 10 }),
);
answer(times);

function anyNear(ratio: number): boolean {
  for (let i = 0; i < totals.length; i++) {
    if ((totals[i] as number) >= ratio * (limits[i] as number)) return true;
  }
  return false;
}

function milliseconds(isNear: () => boolean): number {
  const start = performance.now();
  const near = isNear();
  const elapsed = performance.now() - start;
  if (near) throw new Error("a backend is near a limit that it should be far from");
  return elapsed;
}
