import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { BodyLength } from "./framing.ts";

/** The proxy's name in `Via`: a pseudonym, as RFC 9110 (section 7.6.3) advises. */
const VIA = "usage-proxy";

/**
 * The headers of a request as the upstream gets them: `name, value, name, value, ...`. Without the hop-by-hop ones
 * (RFC 9110, section 7.6.1) and `Host`, which is the upstream's own; framing is `bodyLength`, never what the client wrote.
 * Undefined for a request to more than one host, which must be refused (RFC 9112, section 3.2).
 */
export function requestHeaders(request: IncomingMessage, bodyLength: BodyLength): string[] | undefined {
  const raw = request.rawHeaders;
  const { headers, socket } = request;
  const nominated = nominatedBy(headers.connection);
  const forwarded: string[] = [];
  let hosts = 0;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const lower = name.toLowerCase();
    if (lower === "host") hosts += 1;
    if (NOT_FORWARDED.has(lower) || REPLACED.has(lower) || lower.startsWith("proxy-") || nominated?.has(lower))
      continue;
    forwarded.push(name, raw[at + 1] ?? "");
  }
  if (hosts > 1) return undefined;
  if (bodyLength !== "chunked" && bodyLength !== 0) forwarded.push("content-length", String(bodyLength));
  forwarded.push(
    "via",
    appended(headers.via, `${request.httpVersion} ${VIA}`),
    "x-forwarded-for",
    appended(headers["x-forwarded-for"], clientAddress(socket.remoteAddress)),
    "x-forwarded-proto",
    appended(headers["x-forwarded-proto"], "http"),
  );
  if (headers.host !== undefined) {
    forwarded.push("x-forwarded-host", appended(headers["x-forwarded-host"], headers.host));
  }
  return forwarded;
}

/**
 * The headers of a response as the client gets them: `name, value, name, value, ...`, repeated ones kept apart. Without the
 * hop-by-hop ones; `Content-Length` is the upstream's, which undici has checked against the body.
 */
export function responseHeaders(headers: IncomingHttpHeaders): string[] {
  const nominated = nominatedBy(headers.connection);
  const forwarded: string[] = [];
  for (const name in headers) {
    if (name === "via" || NOT_FORWARDED.has(name) || name.startsWith("proxy-") || nominated?.has(name)) continue;
    const value = headers[name];
    if (typeof value === "string") forwarded.push(name, value);
    else if (value !== undefined) for (const one of value) forwarded.push(name, one);
  }
  forwarded.push("via", appended(headers.via, `1.1 ${VIA}`));
  return forwarded;
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

const REPLACED: ReadonlySet<string> = new Set([
  "content-length",
  "host",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
]);

/** The header names that a `Connection` header makes hop-by-hop, in lower case. */
function nominatedBy(connection: string | readonly string[] | undefined): ReadonlySet<string> | undefined {
  if (connection === undefined || connection === "keep-alive" || connection === "close") return undefined;
  const names = connection.toString().toLowerCase().split(",");
  return new Set(names.map((name) => name.trim()));
}

/** A list header with our own element at its end. Undici and node answer a repeated header as an array in some cases. */
function appended(before: string | readonly string[] | undefined, own: string): string {
  return before === undefined || before.length === 0 ? own : `${before.toString()}, ${own}`;
}

/** Without the prefix that a dual-stack socket puts before an IPv4 address. */
function clientAddress(address: string | undefined): string {
  if (address === undefined) return "unknown";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

/** Whether a request asks for another protocol; a lone `Upgrade` header without its connection option asks for nothing. */
export function asksForUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade !== undefined && nominatedBy(headers.connection)?.has("upgrade") === true;
}
