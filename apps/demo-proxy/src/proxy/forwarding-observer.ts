import type { Problem } from "./answers/problem.ts";
import type { TunnelOptions } from "./websockets/tunnel.ts";

/** The client's side of a forwarding: learns how it ended. */
export interface ForwardingObserver {
  /** Whether the client has its whole answer. */
  readonly answered: boolean;
  /** An upstream is about to be sent the request. */
  started(): void;
  /** The upstream's whole answer has been written. */
  ended(): void;
  /** No upstream gives an answer that the client may have: it gets this one. */
  refused(problem: Problem): void;
  /** A backend has opened a WebSocket. Tells the client so by these headers, and whom it is for; undefined where that one is gone. */
  opening(headers: readonly string[]): Pick<TunnelOptions, "client" | "early"> | undefined;
  /** The answer breaks off, or is this one where nothing of it was sent. */
  broken(problem: Problem): void;
}
