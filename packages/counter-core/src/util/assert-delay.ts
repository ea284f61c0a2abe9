const LONGEST_DELAY_MS = 2 ** 31 - 1;

/** @throws RangeError unless a timer can wait so long: from 1 to 2^31-1 ms. */
export function assertDelay(name: string, ms: number): void {
  if (!(ms >= 1 && ms <= LONGEST_DELAY_MS))
    throw new RangeError(`${name} must be from 1 to 2^31-1 ms, got ${String(ms)}`);
}
