/** How long each part of an exchange may take, in milliseconds. */
export interface Timeouts {
  /** To connect to an upstream, TLS included. @default 5_000 */
  readonly connectMs: number;
  /**
   * For the head of the client's request, and for the head of the upstream's response once the request is written; also the
   * longest that the upstream reads nothing of the request's body. @default 60_000
   */
  readonly headersMs: number;
  /** The longest silence of whoever sends a body, and of a client that has to read one; for slow ones see `ReaderSilence`. @default 60_000 */
  readonly idleMs: number;
  /** How long a client's connection may wait for its next request. @default 65_000 */
  readonly keepAliveMs: number;
}

export const DEFAULT_TIMEOUTS: Timeouts = { connectMs: 5_000, headersMs: 60_000, idleMs: 60_000, keepAliveMs: 65_000 };

/** @throws RangeError unless every timeout is a whole number of milliseconds from 1 to 2^31-1, the longest that a timer can wait. */
export function assertTimeouts(timeouts: Timeouts): void {
  assertDelay("connectMs", timeouts.connectMs);
  assertDelay("headersMs", timeouts.headersMs);
  assertDelay("idleMs", timeouts.idleMs);
  assertDelay("keepAliveMs", timeouts.keepAliveMs);
}

export function assertDelay(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1 || value > 2 ** 31 - 1) {
    throw new RangeError(`${name} must be a whole number of milliseconds from 1 to 2147483647, got ${String(value)}`);
  }
}
