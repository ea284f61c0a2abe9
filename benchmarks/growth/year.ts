import { type Clock, LocalCounterBackend, systemClock, type UsageStore, utcMonths } from "@usage/counter-core";
import { UsageTracker } from "@usage/tracker";

/** Three instances, each of which begins twice a day: one restart, one deployment. */
export const RUNS_A_DAY = 6;
export const BACKENDS: readonly string[] = Array.from(
  { length: 100 },
  (_, i) => `tenant-${String(i).padStart(5, "0")}`,
);
export const YEAR_START: number = Date.UTC(2026, 0, 1);
export const DAY_MS = 86_400_000;
/** What a run uses of each backend: digits as they may be in the middle of a day. */
export const RUN_USAGE = { apiRequests: 1_013, egressBytes: 5_242_880, ingressBytes: 71_303 } as const;

/** The machine's time, moved. */
export function clockAt(ms: number): Clock {
  const offsetMs = ms - Date.now();
  return { ...systemClock, now: () => Date.now() + offsetMs };
}

/** What an instance that does not share its counts has counted in one run. */
export function localRun(day: number, store: UsageStore): UsageTracker {
  const counter = new LocalCounterBackend(BACKENDS, { clock: clockAt(YEAR_START + day * DAY_MS) });
  return new UsageTracker(counter, { store });
}

export function monthOf(day: number): string {
  return utcMonths.at(YEAR_START + day * DAY_MS).key;
}
