import type { IncomingMessage } from "node:http";
import type { Clock } from "@usage/counter-core";

/** The most that is read and thrown away of a body that nobody wants any more. */
const LINGER_BYTES = 16 * 1_048_576;
const LINGER_MS = 1_000;

/**
 * Reads on for a moment after an early answer. A connection that closes with unread input is reset, and the reset can
 * overtake the answer (RFC 9112, section 9.6).
 *
 * @param done called once, with whether the body came to its end.
 */
export function linger(request: IncomingMessage, clock: Clock, done: (drained: boolean) => void): void {
  let left = LINGER_BYTES;
  const onData = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left < 0) finish();
  };
  const finish = (): void => {
    cancel();
    request.off("data", onData).off("end", finish).off("close", finish);
    done(request.complete);
  };
  const cancel = clock.after(LINGER_MS, finish);
  request.on("data", onData).on("end", finish).on("close", finish);
  request.resume();
}
