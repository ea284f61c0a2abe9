import type { IncomingMessage } from "node:http";

/**
 * Whether a request offers to switch protocols (RFC 9110, section 7.8). An offer need not be taken: it is answered as if it
 * were none. But node loses what came behind such a request in the same packet, so its connection must not be used again.
 */
export function offersUpgrade({ headers: { upgrade, connection } }: IncomingMessage): boolean {
  return upgrade !== undefined && connection !== undefined && /\bupgrade\b/i.test(connection);
}

/** Whether a request opens a WebSocket (RFC 6455, section 4.1): its client can do nothing with an answer to a plain GET. */
export function opensWebSocket(request: IncomingMessage): boolean {
  const { upgrade = "", "sec-websocket-key": key } = request.headers;
  return key !== undefined && /\bwebsocket\b/i.test(upgrade) && offersUpgrade(request);
}
