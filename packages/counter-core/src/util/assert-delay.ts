const LONGEST_DELAY_MS = 2 ** 31 - 1;

/** @throws RangeError unless a timer can wait so long: from `least` to 2^31-1 ms. */
export function assertDelay(name: string, ms: number, least = 1): void {
  if (!(ms >= least && ms <= LONGEST_DELAY_MS))
    throw new RangeError(`${name} must be from ${least} to 2^31-1 ms, got ${String(ms)}`);
}
