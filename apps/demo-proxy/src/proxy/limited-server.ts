import type { IncomingMessage, Server } from "node:http";
import type { TlsConfig } from "../config/proxy-config.ts";
import { createListener } from "../listener.ts";
import { HEAD_TOO_LARGE, HEAD_TOO_SLOW, MALFORMED, type Problem } from "./answers/problem.ts";
import type { HeadLimits } from "./http/head-limits.ts";
import type { Timeouts } from "./http/timeouts.ts";

/** Requests that a client may send ahead on one connection; more, and the connection is closed. */
export const MAX_PIPELINED = 1_000;

/**
 * A listener with every limit that it puts on clients. What breaks one reaches no request handler, but `clientError`, and
 * `problemOfClientError` is the answer to it.
 */
export function createLimitedServer(
  timeouts: Timeouts,
  { requestBytes }: HeadLimits,
  {
    tls,
    mayUpgrade,
  }: { readonly tls: TlsConfig | undefined; readonly mayUpgrade: (request: IncomingMessage) => boolean },
): Server {
  const server = createListener({
    tls,
    // All others are answered as if they had not offered it.
    shouldUpgradeCallback: mayUpgrade,
    handshakeMs: timeouts.headersMs,
    insecureHTTPParser: false,
    requireHostHeader: true,
    maxHeaderSize: requestBytes,
    headersTimeout: timeouts.headersMs,
    // How often node looks for heads that take too long.
    connectionsCheckingInterval: Math.max(50, Math.min(timeouts.headersMs / 4, 5_000)),
    // A body may take as long as it moves; its silence is what `Lane` limits.
    requestTimeout: 0,
    // Node would set a timer anew for each request, and again for each answer; `Lane` limits this, too.
    keepAliveTimeout: 0,
    noDelay: true,
    // A request without a body is no stream that would have to be read to its end.
    optimizeEmptyRequests: true,
  });
  // No limit on their number but their size: a header past node's default of 1,000 would be dropped unseen.
  server.maxHeadersCount = 0;
  server.maxRequestsPerSocket = 0;
  return server;
}

export function problemOfClientError(error: NodeJS.ErrnoException): Problem {
  if (error.code === "HPE_HEADER_OVERFLOW") return HEAD_TOO_LARGE;
  return error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? HEAD_TOO_SLOW : MALFORMED;
}
