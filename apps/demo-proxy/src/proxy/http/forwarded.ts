import type { IncomingMessage } from "node:http";
import { peerAddress } from "./trusted-proxies.ts";

/** The scheme that the sender of a request speaks to this listener. */
function schemeOf({ socket }: IncomingMessage): "http" | "https" {
  // fault: says of TLS that it was none
  return "encrypted" in socket ? "https" : "http";
}

/**
 * Whether a header, whose name is in lower case, claims how the request came here and must not pass: `X-Forwarded-*` and
 * `X-Real-IP` of those who are not trusted, and of everybody `X_Forwarded_For` and the like, which servers that make variables
 * of headers (CGI, WSGI, PHP) cannot tell from it.
 */
export function isClaim(name: string, trusted: boolean): boolean {
  if (!name.startsWith("x")) return false;
  const read = name.includes("_") ? name.replaceAll("_", "-") : name;
  if (!read.startsWith("x-forwarded") && read !== "x-real-ip") return false;
  return !trusted || read !== name;
}

/**
 * Adds how the request came here to the headers that the upstream gets: `X-Forwarded-For`, `-Proto` and `-Host`, one element
 * for each proxy on the way. From a proxy that is trusted, ours comes after what it said; from others it stands alone.
 */
export function pushForwarded(headers: string[], request: IncomingMessage, trusted: boolean): void {
  const { headers: sent, socket } = request;
  const peer = peerAddress(socket);
  const host = askedHost(request);
  const scheme = schemeOf(request);
  const said = trusted ? sent : NOTHING;
  headers.push("x-forwarded-for", appended(said["x-forwarded-for"], peer));
  headers.push("x-forwarded-proto", appended(said["x-forwarded-proto"], scheme));
  if (host !== undefined) headers.push("x-forwarded-host", appended(said["x-forwarded-host"], host));
  // Whoever reads `Forwarded` must find this proxy in it; where there is none, `X-Forwarded-*` are enough.
  if (said.forwarded !== undefined) headers.push("forwarded", appended(said.forwarded, element(peer, host, scheme)));
}

/**
 * The host that a request is for, as its sender wrote it: the authority of an absolute target, else `Host` (RFC 9112,
 * section 3.2.2). Undefined where it names none, as HTTP/1.0 may.
 */
export function askedHost({ url = "/", headers }: IncomingMessage): string | undefined {
  if (url.startsWith("/")) return headers.host || undefined;
  return /^https?:\/\/(?:[^/?#\\]*@)?([^/?#\\@]+)/i.exec(url)?.[1] ?? headers.host;
}

/**
 * `scheme://host` of this proxy as the client calls it: by what a trusted proxy in front says, else by the request itself.
 * Undefined where neither names a host that a URL can have.
 */
export function askedOrigin(request: IncomingMessage, trusted: boolean): string | undefined {
  const said = trusted ? request.headers : NOTHING;
  const host = first(said["x-forwarded-host"]) ?? askedHost(request);
  const told = first(said["x-forwarded-proto"])?.toLowerCase();
  const scheme = told === "https" || told === "http" ? told : schemeOf(request);
  return host !== undefined && PLAIN_HOST.test(host) ? `${scheme}://${host}` : undefined;
}

/** What the client may have called this proxy: the host that it asked for, and what a trusted proxy in front says of it. */
export function calledHosts(request: IncomingMessage, trusted: boolean): readonly string[] {
  const host = askedHost(request) ?? "";
  const told = trusted ? first(request.headers["x-forwarded-host"]) : undefined;
  return told === undefined || told === host ? [host] : [host, told];
}

/** A list header with our own element at its end. Undici and node answer a repeated header as an array in some cases. */
export function appended(before: string | readonly string[] | undefined, own: string): string {
  return before === undefined || before.length === 0 ? own : `${before.toString()}, ${own}`;
}

const NOTHING: IncomingMessage["headers"] = {};
const PLAIN_HOST = /^(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?$/;

function first(list: string | readonly string[] | undefined): string | undefined {
  const element = list?.toString().split(",", 1)[0]?.trim();
  return element === "" ? undefined : element;
}

/** One proxy's element of `Forwarded` (RFC 7239, sections 4 and 6). */
function element(peer: string, host: string | undefined, scheme: string): string {
  const from = peer.includes(":") ? `"[${peer}]"` : peer;
  const to = host === undefined || !PLAIN_HOST.test(host) ? "" : `;host="${host}"`;
  return `for=${from}${to};proto=${scheme}`;
}
