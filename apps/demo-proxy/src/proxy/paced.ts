import type { IncomingMessage } from "node:http";
import { toHeaders } from "@usage/tracker/http";
import type { ClientDecision } from "../clients/client-usage.ts";
import type { ExchangeContext } from "./exchange-context.ts";

/** The names that the drafts of the standard have, old and new. Those of a backend are about the operator's account. */
const STANDARD: ReadonlySet<string> = new Set([
  "ratelimit",
  "ratelimit-policy",
  "ratelimit-limit",
  "ratelimit-remaining",
  "ratelimit-reset",
]);

/**
 * The headers of an answer with what is left to its client, in place of what the backend says under the same names. What providers
 * say under names of their own, such as `x-ratelimit-remaining-requests`, stays.
 *
 * @param headers `name, value, name, value, ...`, names in lower case.
 */
export function paced(
  headers: readonly string[],
  quota: ClientDecision,
  { clock, ownAnswers }: Pick<ExchangeContext, "clock" | "ownAnswers">,
  { headers: { origin } }: IncomingMessage,
): string[] {
  // What else there may be is about repeating a request that was refused.
  const { RateLimit: limits, "RateLimit-Policy": policies } = toHeaders(quota, { now: clock.now() });
  // fault: tells a client of the operator's account beside its own
  const shown = headers.filter((_, at) => !STANDARD.has(headers[at - (at % 2)] ?? ""));
  if (limits !== undefined && policies !== undefined) shown.push("ratelimit", limits, "ratelimit-policy", policies);
  // One more line of the list that the backend exposes.
  if (origin !== undefined && ownAnswers.mayBeReadBy(origin)) {
    shown.push("access-control-expose-headers", "RateLimit, RateLimit-Policy");
  }
  return shown;
}
