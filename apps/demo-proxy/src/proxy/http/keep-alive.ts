import type { ServerResponse } from "node:http";
import type { Timeouts } from "./timeouts.ts";

/** The `Keep-Alive` that tells clients how long a connection waits for their next request. Node writes it only where it waits itself. */
export function keepAliveOf({ keepAliveMs }: Timeouts): string {
  return `timeout=${Math.floor(keepAliveMs / 1_000)}`;
}

/** Whether a connection stays open behind a response, for a client that knows the header. */
export function isKeptAlive({ shouldKeepAlive, req }: ServerResponse): boolean {
  return shouldKeepAlive && req.httpVersion === "1.1";
}
