import { NameError, TooManyBackendsError, UnknownUsageError } from "@usage/counter-core";
import type { Decision } from "../decision.ts";
import { type QuotaProblem, toHeaders, toProblem } from "../http.ts";

/** A problem details object (RFC 9457) for a request that no limit refuses. */
export interface MeterProblem {
  readonly type: "about:blank";
  readonly title: string;
  readonly status: 403 | 503;
  readonly detail: string;
  /** The same for the clients of LLM providers, which look here for what failed. */
  readonly error: { readonly message: string; readonly type: string; readonly code: string };
}

/** Why a request does not pass. Nothing is counted for it. */
export interface Refusal<D extends string> {
  /**
   * 429: a limit leaves no room. 403: `key` returned nothing, or what cannot be a name. 503: what was used of it so far cannot be
   * read, or the counter holds as many backends as it may.
   */
  readonly status: 403 | 429 | 503;
  /** With what a limit says, and when to come back. */
  readonly headers: Readonly<Record<string, string>>;
  /** To be sent as `application/problem+json`. Names no backend. */
  readonly problem: QuotaProblem | MeterProblem;
  /** What the limits say, where one of them refuses. */
  readonly decision?: Decision<D>;
  /** Why it is 503, or 403 for a name that is none. */
  readonly cause?: unknown;
}

/** By a limit. */
export function refusedBy<D extends string>(decision: Decision<D>): Refusal<D> {
  return { status: 429, headers: toHeaders(decision), problem: toProblem(decision), decision };
}

/** For a request that names nobody who could be charged. */
export function refusedWithoutKey<D extends string>(cause?: unknown): Refusal<D> {
  const detail = "This request carries no key that it could be counted for.";
  const problem = problemOf(403, "Forbidden", detail, "permission_error", "no_key");
  return { status: 403, headers: {}, problem, ...(cause !== undefined && { cause }) };
}

/** For what `ensure` throws: undefined where that is nobody's business but the server's. */
export function refusedFor<D extends string>(error: unknown): Refusal<D> | undefined {
  if (error instanceof NameError) return refusedWithoutKey(error);
  // fault: takes for a fault of the server that it is not known what a tenant has used
  if (!(error instanceof UnknownUsageError || error instanceof TooManyBackendsError)) return undefined;
  const detail = "What was used so far cannot be read at the moment: try again in a second.";
  const problem = problemOf(503, "Service Unavailable", detail, "server_error", "usage_unknown");
  return { status: 503, headers: { "Retry-After": "1" }, problem, cause: error };
}

function problemOf(
  status: MeterProblem["status"],
  title: string,
  detail: string,
  type: string,
  code: string,
): MeterProblem {
  return { type: "about:blank", title, status, detail, error: { message: detail, type, code } };
}
