import { type OutgoingHttpHeaders, type ServerResponse, STATUS_CODES } from "node:http";
import type { Clock, StorageDimension } from "@usage/counter-core";
import type { Decision } from "@usage/tracker";
import { toHeaders, toProblem } from "@usage/tracker/http";
import type { RefusalCause } from "./refusal-counts.ts";

/** An answer of the proxy's own, sent as `application/problem+json` (RFC 9457). Names no upstream. */
export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Why no backend served the request; absent where that is the client's own doing. */
  readonly cause?: RefusalCause;
}

const KEY_WANTED = "This proxy wants a key of its own, and the request has none that it knows.";

export const CONNECT_REFUSED: Problem = problem(501, "This proxy opens no tunnels: CONNECT is not supported.");
export const UPGRADE_REFUSED: Problem = problem(
  501,
  "This opens no WebSocket: send GET by HTTP/1.1 without a body and without Expect, on a connection that waits for no other answer.",
  {
    connection: "close",
  },
);
export const FOREIGN_PAGE: Problem = problem(
  403,
  "A page of another site cannot use credentials here that are not its own: cors.origins of the proxy names the pages that may.",
);
export const FOREIGN_NAME: Problem = problem(
  403,
  "The Host header must name this machine, as in http://127.0.0.1:8080, or a host in routes or cors.origins of the proxy; behind another server, trustedProxies must name that.",
);
export const EXPECTATION_REFUSED: Problem = problem(417, "The only expectation that this proxy meets is 100-continue.");
export const BAD_TARGET: Problem = problem(
  400,
  "The request target must be a path, or an http or https URL, without a fragment and without '..' segments.",
);
export const BAD_FRAMING: Problem = problem(
  400,
  "The length of the request's body is not clear: send one Content-Length, or Transfer-Encoding: chunked and nothing else.",
  { connection: "close" },
);
export const LOOP: Problem = problem(
  508,
  "This request has passed this proxy before: the address of a backend leads back to the proxy itself.",
);
export const BAD_REQUEST: Problem = problem(400, "The request's method, target or headers cannot be sent on.");
export const MALFORMED: Problem = problem(400, "This is not valid HTTP.");
export const HEAD_TOO_LARGE: Problem = problem(431, "The request's headers are too large.");
export const HEAD_TOO_SLOW: Problem = problem(408, "The request's headers did not come in time.");
export const SILENT_CLIENT: Problem = problem(408, "The rest of the request's body did not come in time.");
export const CLOSING: Problem = problem(503, "This proxy is shutting down.", retryAfter(1));
export const DRAINED: Problem = because(
  "drained",
  problem(503, "All backends are drained, and take no new requests.", retryAfter(5)),
);
/** No rule is for a request, so that no backend may have it. */
export const NO_ROUTE: Problem = problem(
  404,
  "No rule of this proxy is for this host, path and method.",
  {},
  { reason: "no-route" },
);
export const AMBIGUOUS_PATH: Problem = problem(
  400,
  "Servers read this path in more than one way, and different rules of this proxy are for them: send it without what is read in different ways, such as escapes that need not be, '//', '/.' and ';'.",
  {},
  { reason: "ambiguous-path" },
);
export const UNREACHABLE: Problem = because(
  "unreachable",
  problem(503, "No backend can be reached at the moment.", retryAfter(5)),
);
export const UNREACHABLE_OR_FULL: Problem = because(
  "unreachable",
  problem(503, "The backends with room left cannot be reached at the moment.", retryAfter(5)),
);
export const UNAUTHENTICATED: Problem = problem(
  401,
  KEY_WANTED,
  { "www-authenticate": 'Bearer realm="usage-proxy", Basic realm="usage-proxy"', "x-should-retry": "false" },
  { error: { message: KEY_WANTED, type: "authentication_error", code: "invalid_api_key" } },
);
/** The backend does not know who the proxy says that it is. */
export const CREDENTIALS_REFUSED: Problem = because(
  "failed",
  problem(502, "The backend does not accept the credentials of this proxy.", {
    "x-should-retry": "false",
  }),
);
export const CONNECT_FAILED: Problem = because("unreachable", problem(502, "No backend could be connected to."));
export const CONNECT_TIMEOUT: Problem = because(
  "unreachable",
  problem(504, "No backend could be connected to in time."),
);
export const BAD_RESPONSE: Problem = because(
  "failed",
  problem(
    502,
    "The backend broke off or did not answer with valid HTTP. The request is not sent again: it may have taken effect.",
  ),
);
export const RESPONSE_TIMEOUT: Problem = because(
  "failed",
  problem(504, "The backend did not answer in time. The request is not sent again: it may have taken effect."),
);

/**
 * No backend has room left for a request: the refusal of the last one.
 *
 * @param lead what this means for the request.
 */
export function overLimit(
  decision: Decision<StorageDimension>,
  clock: Clock,
  lead = "No backend has room left.",
): Problem {
  const quota = toProblem(decision);
  const detail = `${lead} ${quota.detail}`;
  return {
    status: quota.status,
    headers: toHeaders(decision, { now: clock.now() }),
    body: JSON.stringify({ ...quota, reason: decision.reason, detail, error: { ...quota.error, message: detail } }),
    cause: "limit",
  };
}

/**
 * No backend has room left for a request, but one would, were it not for what running requests may still use there: worth
 * another try at once.
 *
 * @param lead what this means for the request.
 */
export function onlyReserved(decision: Decision<StorageDimension>, clock: Clock, lead?: string): Problem {
  const status = 429;
  const where = decision.exceeded.length > 0 ? "by requests that are running" : "by other instances";
  const detail = led(lead, `Room for this request is only reserved at the moment, ${where}: try again in a second.`);
  const error = { message: detail, type: "rate_limit_exceeded", code: "rate_limit_exceeded" };
  return {
    status,
    headers: { ...toHeaders(decision, { now: clock.now() }), ...retryAfter(1) },
    body: JSON.stringify({ type: "about:blank", title: STATUS_CODES[status], status, reason: "held", detail, error }),
    cause: "held",
  };
}

/**
 * Limits are exact, and whether there is room cannot be asked for: the counter has just started or its Redis is new (`unready`), or
 * it is cut off from Redis (`offline`).
 */
export function notAsked({ reason }: Decision<StorageDimension>, lead?: string): Problem {
  const why = reason === "unready" ? "this is not known yet" : "what they used cannot be asked for now";
  const detail = `Limits are shared with other instances, and ${why} (${reason}): try again in a second.`;
  return because("unready", problem(503, led(lead, detail), retryAfter(1), { reason }));
}

function led(lead: string | undefined, detail: string): string {
  return lead === undefined ? detail : `${lead} ${detail}`;
}

/** The same without a word that it is worth another try: it may take effect twice. */
export function notToBeRepeated(refusal: Problem): Problem {
  const { "retry-after": _, "Retry-After": __, ...headers } = refusal.headers;
  return { ...refusal, headers: { ...headers, "x-should-retry": "false" } };
}

/** Writes head and body of an answer. The caller ends the response, which lets it read on before the connection closes. */
export function writeProblem(response: ServerResponse, { status, headers, body }: Problem): void {
  response.writeHead(status, STATUS_CODES[status], { ...entityHeaders(body), ...headers });
  response.write(body);
}

/** A whole answer, head included, for a connection that has no response object. The connection closes after it. */
export function problemText({ status, body }: Problem): string {
  const headers = { ...entityHeaders(body), connection: "close" };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, "", body].join("\r\n");
}

function problem(
  status: number,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
  more: Readonly<Record<string, unknown>> = {},
): Problem {
  const title = STATUS_CODES[status];
  return { status, headers, body: JSON.stringify({ type: "about:blank", title, status, ...more, detail }) };
}

function because(cause: RefusalCause, refusal: Problem): Problem {
  return { ...refusal, cause };
}

function entityHeaders(body: string): OutgoingHttpHeaders {
  return { "content-type": "application/problem+json", "content-length": Buffer.byteLength(body) };
}

function retryAfter(seconds: number): Readonly<Record<string, string>> {
  return { "retry-after": String(seconds) };
}
