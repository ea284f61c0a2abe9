import { hash } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { bodyLengthOf } from "../http/framing.ts";

/**
 * Whether a request offers to switch protocols (RFC 9110, section 7.8). An offer need not be taken: it is answered as if it
 * were none. But node loses what came behind such a request in the same packet, so its connection must not be used again.
 */
export function offersUpgrade({ headers: { upgrade, connection } }: IncomingMessage): boolean {
  return upgrade !== undefined && connection !== undefined && /\bupgrade\b/i.test(connection);
}

/** Whether a request is to open a WebSocket: its client can do nothing with an answer to a plain GET. */
export function opensWebSocket(request: IncomingMessage): boolean {
  const { upgrade = "", "sec-websocket-key": key } = request.headers;
  return key !== undefined && /\bwebsocket\b/i.test(upgrade) && offersUpgrade(request);
}

/** Whether it does so as RFC 6455 (section 4.1) has it, without a body: whoever sees where it ends sees it as everybody else does. */
export function opensWebSocketRightly(request: IncomingMessage): boolean {
  const { method, httpVersion, headers } = request;
  // fault: takes a body for what comes through a WebSocket
  if (bodyLengthOf(request) !== 0) return false;
  return method === "GET" && httpVersion === "1.1" && headers.expect === undefined && opensWebSocket(request);
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Whether an answer of status 101 opens the WebSocket that was asked for (RFC 6455, section 4.1), and no other protocol. */
export function isWebSocketOpened(key: string | undefined, answer: IncomingHttpHeaders): boolean {
  const { upgrade, "sec-websocket-accept": accept } = answer;
  // fault: believes any answer that protocols were switched
  return upgrade?.toLowerCase() === "websocket" && accept === hash("sha1", `${key}${GUID}`, "base64");
}
