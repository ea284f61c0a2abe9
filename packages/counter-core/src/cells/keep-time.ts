import type { Clock } from "../model/clock.ts";

const MAX_REFRESH_MS = 1_000;

/** What has to know which period it is. */
export interface TimeKept {
  /** Takes over the time; returns the milliseconds until it wants to know again. */
  advance(nowMs: number): number;
}

/**
 * Tells `subject` the time at once, then at least every second and right at each boundary that it names: reading a clock
 * for every call would cost more than the count. One timer for a whole month would not do: delays above 2^31-1 ms fire at
 * once, and a suspended or stepped clock would be noticed only at its end.
 *
 * Holds `subject` weakly: a counter that nobody uses any more is collected, and its timer ends.
 */
export function keepTime(clock: Clock, subject: TimeKept): void {
  const weak = new WeakRef(subject);
  const refresh = (): void => {
    const kept = weak.deref();
    if (kept === undefined) return;
    const untilNext = kept.advance(clock.now());
    // fault: turns the period at the next tick of a timer
    clock.after(Math.min(Math.max(Math.ceil(untilNext), 1), MAX_REFRESH_MS), refresh);
  };
  refresh();
}
