import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import type { Reservation } from "./admission/reservation.ts";
import type { Upstream } from "./upstream/upstream.ts";
import type { Tunnel } from "./websockets/tunnel.ts";

/** The side of an exchange that one attempt reports to. One of `passedOver`, `unsendable`, `sendAgain`, `broken` and `ended` comes, once, as the last. */
export interface AttemptObserver {
  /** The connection is ready and the request about to be written. */
  started(): void;
  /** A connection that was kept closed before anything of an answer came. Returns whether the request is sent again; else comes `broken`. */
  sendAgain(): boolean;
  /** The upstream could not be connected to. Nothing was written. */
  passedOver(upstream: Upstream, error: Error): void;
  /** The request cannot be written as HTTP. Nothing was written. */
  unsendable(): void;
  head(status: number, reason: string | undefined, headers: IncomingHttpHeaders): void;
  /** Returns whether more may come; `resume` asks for more after a false. */
  data(chunk: Buffer): boolean;
  ended(): void;
  /** What came of the body waits for room. */
  starved(): void;
  /** There is no room for so many more bytes of the body: it must not pass. The attempt is to be aborted. */
  noRoom(bytes: number): void;
  /** The upstream failed after the request was started. */
  broken(error: Error): void;
  /** The upstream says that it has opened a WebSocket, on this connection. Returns nothing where it is not what was asked for. */
  upgraded(headers: IncomingHttpHeaders, socket: Duplex, reservation: Reservation): Tunnel | undefined;
}
