import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "@usage/counter-core";
import { flushHead } from "./client-response.ts";

/** The most that is read and thrown away of a body that nobody wants any more. */
const LINGER_BYTES = 16 * 1_048_576;
const LINGER_MS = 1_000;

/** Whether not all of a request's body has come. */
export function isBodyPending(request: IncomingMessage, hasBody: boolean): boolean {
  return hasBody && !request.complete;
}

/** Ends a response; while the client still sends its body, only once that is read or has taken too long. */
export function endResponse(request: IncomingMessage, response: ServerResponse, hasBody: boolean, clock: Clock): void {
  if (!isBodyPending(request, hasBody)) {
    // What came and was not sent on would hold up the connection's next request.
    if (hasBody) request.resume();
    response.end();
    return;
  }
  // The client shall know now that it may stop sending.
  if (response.headersSent) flushHead(response);
  const { socket } = request;
  linger(request, clock, (drained) => {
    response.end(() => {
      if (!drained) socket.destroySoon();
    });
  });
}

/**
 * Reads on for a moment after an early answer. A connection that closes with unread input is reset, and the reset can
 * overtake the answer (RFC 9112, section 9.6).
 *
 * @param done called once, with whether the body came to its end.
 */
function linger(request: IncomingMessage, clock: Clock, done: (drained: boolean) => void): void {
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
