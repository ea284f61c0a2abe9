import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { appended, isClaim, pushForwarded } from "./forwarded.ts";
import type { BodyLength } from "./framing.ts";
import type { Addressee, UpstreamAddresses } from "./upstream-addresses.ts";

/** How a request has come to this instance. */
export interface Passage {
  /** Whether it comes from a proxy that is believed. */
  readonly trusted: boolean;
  /** What this instance, and nobody else, is called in `Via`. */
  readonly pseudonym: string;
}

/** The proxy's name in `Via`: a pseudonym, as RFC 9110 (section 7.6.3) advises. In requests, each instance adds its own to it. */
export const VIA = "usage-proxy";

/**
 * The headers of a request as the upstream gets them: `name, value, name, value, ...`. Without the hop-by-hop ones
 * (RFC 9110, section 7.6.1) and `Host`, which each upstream decides; framing is `bodyLength`, never what the client wrote.
 * How the request came here is told only by proxies that are `trusted`, and by us, under our `pseudonym`.
 * Undefined for a request to more than one host, which must be refused (RFC 9112, section 3.2).
 */
export function requestHeaders(
  request: IncomingMessage,
  bodyLength: BodyLength,
  { trusted, pseudonym }: Passage,
): string[] | undefined {
  const raw = request.rawHeaders;
  const { headers } = request;
  const nominated = nominatedBy(headers.connection);
  const forwarded: string[] = [];
  let hosts = 0;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const lower = name.toLowerCase();
    if (lower === "host") hosts += 1;
    if (NOT_FORWARDED.has(lower) || REPLACED.has(lower) || lower.startsWith("proxy-") || nominated?.has(lower))
      continue;
    if (isClaim(lower, trusted)) continue;
    forwarded.push(name, raw[at + 1] ?? "");
  }
  if (hosts > 1) return undefined;
  if (bodyLength !== "chunked" && bodyLength !== 0) forwarded.push("content-length", String(bodyLength));
  forwarded.push("via", appended(headers.via, `${request.httpVersion} ${pseudonym}`));
  pushForwarded(forwarded, request, trusted);
  return forwarded;
}

/**
 * The headers of a response as the client gets them: `name, value, name, value, ...`, repeated ones kept apart. Without the
 * hop-by-hop ones; `Content-Length` is the upstream's, which undici has checked against the body. Without `Alt-Svc`, too,
 * which names other addresses for this one; those of the upstream's own become the proxy's.
 */
export function responseHeaders(
  headers: IncomingHttpHeaders,
  status: number,
  addresses: UpstreamAddresses,
  client: Addressee,
): string[] {
  const redirects = status >= 300 && status < 400;
  const nominated = nominatedBy(headers.connection);
  const forwarded: string[] = [];
  for (const name in headers) {
    if (NOT_RETURNED.has(name) || name.startsWith("proxy-") || nominated?.has(name)) continue;
    // It must have none (RFC 9110, section 8.6), and some clients wait for what it announces.
    if ((status === 204 || status === 101) && name === "content-length") continue;
    const value = headers[name];
    if (typeof value === "string") forwarded.push(name, addresses.toClient(name, value, redirects, client));
    else if (value !== undefined)
      for (const one of value) forwarded.push(name, addresses.toClient(name, one, redirects, client));
  }
  forwarded.push("via", appended(headers.via, `1.1 ${VIA}`));
  return forwarded;
}

/** The headers of a request whose answer is wanted as it is, without any coding. */
export function uncompressed(headers: readonly string[]): string[] {
  const kept = headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== "accept-encoding");
  return [...kept, "accept-encoding", "identity"];
}

const NOT_FORWARDED: ReadonlySet<string> = new Set([
  "connection",
  "expect",
  "http2-settings",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const NOT_RETURNED: ReadonlySet<string> = new Set([...NOT_FORWARDED, "alt-svc", "via"]);

const REPLACED: ReadonlySet<string> = new Set([
  "content-length",
  "forwarded",
  "host",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
]);

/** Whether a header of requests is the proxy's to decide, so that no configuration may. */
export function decidedByProxy(name: string): boolean {
  const lower = name.toLowerCase();
  return NOT_FORWARDED.has(lower) || REPLACED.has(lower) || lower.startsWith("proxy-");
}

/** The header names that a `Connection` header makes hop-by-hop, in lower case. */
function nominatedBy(connection: string | readonly string[] | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === "keep-alive" || connection === "close") return undefined;
  const names = connection.toString().toLowerCase().split(",");
  return new Set(names.map((name) => name.trim()));
}
