import type { IncomingMessage } from "node:http";
import type { ExchangeContext } from "./exchange-context.ts";
import { calledHosts } from "./forwarded.ts";

/**
 * Whether a page of another site asks for a WebSocket without a key that it has to know. Browsers keep from pages what other sites
 * answer, but not what comes through a WebSocket, and they add passwords that they know: the page would use credentials that are not its own.
 */
export function isForeignPage(
  request: IncomingMessage,
  { clients, router, ownAnswers, trustedProxies }: ExchangeContext,
): boolean {
  const { origin, authorization = "" } = request.headers;
  if (origin === undefined || ownAnswers.mayBeReadBy(origin)) return false;
  const needsNoKey =
    clients === undefined
      ? router.upstreams.some(({ credentials }) => credentials?.dropsOwn === true)
      : /^basic /i.test(authorization);
  if (!needsNoKey) return false;
  const host = URL.parse(origin)?.host;
  const called = calledHosts(request, trustedProxies.trusts(request.socket));
  return !called.some((name) => name.toLowerCase() === host);
}
