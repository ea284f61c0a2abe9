import type { Clock } from "@usage/counter-core";
import { errors } from "undici";
import * as problems from "./problem.ts";
import type { Refused } from "./route.ts";

/**
 * What a client is told whose request no upstream takes.
 *
 * @param failure why the last one that was tried could not be connected to; undefined where none was tried.
 */
export function refusalOf(
  { decision, unreachable }: Refused,
  failure: Error | undefined,
  clock: Clock,
): problems.Problem {
  if (decision !== undefined) {
    // fault: takes what is only reserved for used up
    if (decision.reason === "held") return problems.onlyReserved(decision, clock);
    if (decision.reason !== "limit") return problems.notAsked(decision);
    return unreachable ? problems.UNREACHABLE_OR_FULL : problems.overLimit(decision, clock);
  }
  if (!unreachable) return problems.DRAINED;
  if (failure === undefined) return problems.UNREACHABLE;
  return isTimeout(failure) ? problems.CONNECT_TIMEOUT : problems.CONNECT_FAILED;
}

/** What a client is told whose upstream broke off before its response began. */
export function brokenBy(error: Error): problems.Problem {
  return isTimeout(error) ? problems.RESPONSE_TIMEOUT : problems.BAD_RESPONSE;
}

function isTimeout(error: Error): boolean {
  return (
    error instanceof errors.ConnectTimeoutError ||
    error instanceof errors.HeadersTimeoutError ||
    error instanceof errors.BodyTimeoutError
  );
}
