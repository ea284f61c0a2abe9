const TICKS_PER_MS = 100;

/**
 * The time as a whole number of 32 bits, which a field holds without an object of its own; it starts again from below after
 * half a day.
 */
export function ticks(): number {
  return (performance.now() * TICKS_PER_MS) | 0;
}

/** The milliseconds since `start`, exact to 10 us; right for up to six hours. */
export function msSince(start: number): number {
  return ((ticks() - start) | 0) / TICKS_PER_MS;
}
