import { type Clock, type PeriodScheme, systemClock } from "@usage/counter-core";

/** A clock that several threads read: milliseconds since the Unix epoch in shared memory. Timers are real, and fast. */
export function sharedClock(time: SharedArrayBuffer): Clock {
  const cell = new BigInt64Array(time);
  return {
    now: () => Number(Atomics.load(cell, 0)),
    elapsed: systemClock.elapsed,
    after: (delayMs, callback) => systemClock.after(Math.min(delayMs, 1), callback),
  };
}

const HOUR_MS = 3_600_000;

export const hourOfSharedClock: PeriodScheme = {
  at(timeMs) {
    const start = Math.floor(timeMs / HOUR_MS) * HOUR_MS;
    return { key: new Date(start).toISOString().slice(0, 13), start, end: start + HOUR_MS };
  },
};
