/** Time as the packages see it: handed in, so that a test or a simulation owns it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May step, also backwards. */
  now(): number;
  /** Milliseconds since some instant, which only grow as time passes: for how long something took. Never steps. */
  elapsed(): number;
  /**
   * Calls `callback` once, `delayMs` milliseconds (at most 2^31-1) from now, without keeping the process alive.
   * Returns a function that cancels the call.
   */
  after(delayMs: number, callback: () => void): () => void;
}

/** The machine's clock and Node's timers, unref'd. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
