import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { isLoopback } from "../config/address.ts";
import { hostName } from "../rules/host-pattern.ts";
import { FOREIGN_NAME, FOREIGN_PAGE, type Problem } from "./answers/problem.ts";
import type { ExchangeContext } from "./exchange-context.ts";
import { askedHost, calledHosts } from "./http/forwarded.ts";

/**
 * Why a request is refused that a page of another site may have sent, and that would use credentials which are not the page's own:
 * those of a provider where clients need no key, or a password that the browser knows. Undefined: it is not refused.
 */
export function refuseForeignPage(
  request: IncomingMessage,
  context: ExchangeContext,
  opensWebSocket: boolean,
): Problem | undefined {
  if (context.clients === undefined) {
    // Without keys it listens on loopback, where browsers of this machine reach it for whatever page they show.
    if (!context.router.lendsCredentials) return undefined;
    // fault: lets pages use the credentials of a provider by a name that was made to point here
    if (!isKnownName(request, context)) return FOREIGN_NAME;
    // fault: lets pages of any site use the credentials of a provider
    if (isForeignOrigin(request, context) || isForeignResource(request, context)) return FOREIGN_PAGE;
    return undefined;
  }
  // Browsers keep from pages what other sites answer, but not what comes through a WebSocket.
  const addsPassword = opensWebSocket && /^basic /i.test(request.headers.authorization ?? "");
  // fault: lets pages of any site use passwords that a browser knows
  if (addsPassword && isForeignOrigin(request, context)) return FOREIGN_PAGE;
  return undefined;
}

/**
 * Whether the host that was asked for is one of this proxy. A page whose name was made to point here (DNS rebinding) is of the same
 * origin as the proxy to a browser, but the request has that name, and never an address.
 */
function isKnownName(request: IncomingMessage, { router, ownAnswers, trustedProxies }: ExchangeContext): boolean {
  const asked = askedHost(request);
  // What HTTP/1.0 may do, and browsers do not.
  if (asked === undefined) return true;
  const name = hostName(asked);
  if (isLoopback(name) || isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0) return true;
  if (router.namesHost(name) || trustedProxies.trusts(request.socket)) return true;
  return ["http", "https"].some((scheme) => ownAnswers.mayBeReadBy(`${scheme}://${asked.toLowerCase()}`));
}

function isForeignOrigin(request: IncomingMessage, context: ExchangeContext): boolean {
  const { origin } = request.headers;
  if (origin === undefined || context.ownAnswers.mayBeReadBy(origin)) return false;
  const page = URL.parse(origin);
  // The pages of this machine are no strangers to what listens for it alone.
  if (context.clients === undefined && page !== null && isLoopback(page.hostname)) return false;
  const called = calledHosts(request, context.trustedProxies.trusts(request.socket));
  return !called.some((name) => name.toLowerCase() === page?.host);
}

/** Whether a page of another site shows or runs it. What a user opens, by a link that is there, is none of that page. */
function isForeignResource({ headers }: IncomingMessage, { ownAnswers }: ExchangeContext): boolean {
  if (headers.origin !== undefined || headers["sec-fetch-site"] !== "cross-site") return false;
  const isOpened = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
  // Where all pages may read answers, pages that do not say who they are may, too.
  return !isOpened && !ownAnswers.mayBeReadBy("null");
}
