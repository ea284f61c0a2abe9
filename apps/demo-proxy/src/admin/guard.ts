import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isLoopback } from "../config/address.ts";
import { type Answer, refuse } from "./problem.ts";

export interface GuardedRequest {
  readonly method: string;
  /** The path and query as they came. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
}

export type Guard = (request: GuardedRequest) => Answer | undefined;

export interface GuardOptions {
  /** Where it listens. */
  readonly host: string;
  readonly token?: string;
  /** The addresses under which another server shows it. @default none */
  readonly urls?: readonly string[];
}

/** Who may talk to the admin listener: the first refusal, or undefined for a request that may pass. */
export function guard({ host, token, urls = [] }: GuardOptions): Guard {
  const shown = urls.map((url) => new URL(url));
  const guards = [knownHost(host, shown), bearerToken(token), sameSite(shown)];
  return (request) => {
    for (const check of guards) {
      const refusal = check(request);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  };
}

/**
 * On loopback a request must name a host of this machine, or one under which it is shown. A page from elsewhere whose name
 * was made to point here (DNS rebinding) is same-origin for the browser, but sends its own name. Beyond loopback the token
 * keeps it out.
 */
function knownHost(configured: string, shown: readonly URL[]): Guard {
  if (!isLoopback(configured)) return () => undefined;
  const names = new Set([configured.toLowerCase(), ...shown.map(nameOf)]);
  return ({ headers }) => {
    const name = hostName(headers.host);
    // fault: lets in whatever name was made to point here
    if (name !== undefined && (isLoopback(name) || names.has(name))) return undefined;
    return forbidden(
      "The Host header must name this machine, as in http://127.0.0.1:8081, or a host that stands in admin.urls.",
    );
  };
}

function hostName(host: string | undefined): string | undefined {
  const url = URL.parse(`http://${host ?? ""}/`);
  return url === null ? undefined : nameOf(url);
}

function nameOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

/** Spelt exactly so: a path in any other spelling is none of these, whatever it is decoded to later. */
const OPEN_TO_ALL = /^\/(?:healthz|readyz|dashboard\/[a-z-]+\.[a-z]+)?(?:\?|$)/;

/** The token of every request, compared in constant time; but not for health, nor for the page, which asks for it and shows nothing before. */
function bearerToken(token: string | undefined): Guard {
  if (token === undefined) return () => undefined;
  const wanted = digest(token);
  return ({ target, headers }) => {
    if (OPEN_TO_ALL.test(target)) return undefined;
    const [, given] = /^bearer +(\S+)$/i.exec(headers.authorization ?? "") ?? [];
    // Digests have one length, which is what timingSafeEqual asks for and what hides the token's.
    if (given !== undefined && timingSafeEqual(digest(given), wanted)) return undefined;
    const detail = "Send the configured admin.token as Authorization: Bearer ...";
    return refuse({ status: 401, title: "Unauthorized", detail, headers: { "www-authenticate": "Bearer" } });
  };
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/**
 * Nothing that a page of another site makes a browser send may change anything. A server in between may end TLS and send
 * another Host than the browser did: of an address under which this listener is shown, the origin counts as it stands there.
 */
function sameSite(shown: readonly URL[]): Guard {
  const origins = new Set(shown.map(({ origin }) => origin));
  const hosts = new Set(shown.map(({ host }) => host));
  const isOwn = (origin: string, host: string | undefined): boolean => {
    if (origins.has(origin)) return true;
    const its = URL.parse(origin)?.host;
    return its !== undefined && its === host?.toLowerCase() && !hosts.has(its);
  };
  return ({ method, headers: { origin, host, "sec-fetch-site": site } }) => {
    if (method === "GET" || method === "HEAD") return undefined;
    const foreignSite = site !== undefined && site !== "same-origin" && site !== "none";
    const foreignOrigin = origin !== undefined && !isOwn(origin, host);
    // fault: lets pages of other sites change things
    if (!foreignSite && !foreignOrigin) return undefined;
    return forbidden(
      "A page of another site cannot change anything here. A dashboard that another server shows has its address in admin.urls.",
    );
  };
}

function forbidden(detail: string): Answer {
  return refuse({ status: 403, title: "Forbidden", detail });
}
