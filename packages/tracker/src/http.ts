import type { Decision } from "./decision.ts";
import { limitItem, policyItem, resetSeconds, windowSeconds } from "./quota-items.ts";
import type { WindowedDecision } from "./windows/decide-all.ts";

export interface HeaderOptions {
  /** Milliseconds since the Unix epoch. @default Date.now() */
  readonly now?: number;
}

/**
 * A problem details object (RFC 9457): of the type "quota exceeded" (draft-ietf-httpapi-ratelimit-headers, section 4.1), or, where
 * what is left is only held for work that is going on, `about:blank`.
 */
export interface QuotaProblem {
  readonly type: string;
  readonly title: string;
  readonly status: 429;
  readonly detail: string;
  /**
   * When the next period begins, in ISO 8601; absent where a limit of 0 refuses, which the next period has, too, and where
   * waiting for a second may help.
   */
  readonly "resets-at"?: string;
  /** The same for the clients of LLM providers, which look here for what failed. */
  readonly error: { readonly message: string; readonly type: string; readonly code: string };
  /** The names in `RateLimit-Policy` of the limits that are used up. */
  readonly "violated-policies": readonly string[];
  /** What these limits are worth; see `Decision.mode`. */
  readonly mode: "exact" | "approximate";
}

/** The longest that a client is asked to wait, in seconds. */
const LONGEST_WAIT = 60;

/**
 * `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers) with one item per limited dimension (and window:
 * `"day:apiRequests"`). A refusal that lasts at most a minute also has `Retry-After` (RFC 9110, section 10.2.3): whole seconds to the
 * end of the period.
 *
 * Many clients sleep for as long as `Retry-After` says, and try again on every 429. A longer refusal therefore carries
 * `x-should-retry: false` instead, which the official clients of OpenAI and Anthropic obey; its seconds are in `RateLimit`
 * only (`t`). So does a refusal by a limit of 0, which the next period has, too. One whose `reason` is not `limit` says 1.
 *
 * @returns The headers by name; none for an unlimited backend.
 */
export function toHeaders<D extends string>(
  decision: Decision<D> | WindowedDecision<D>,
  options: HeaderOptions = {},
): Record<string, string> {
  const { now = Date.now() } = options;
  const policies = policiesOf(decision);
  if (policies.length === 0) return {};
  return {
    RateLimit: policies
      .map(({ name, dimension, of }) => limitItem(name, of.remaining[dimension] ?? 0, resetOf(of, now)))
      .join(", "),
    "RateLimit-Policy": policies
      .map(({ name, dimension, of }) => {
        return policyItem(name, dimension, of.limits[dimension] ?? 0, windowSeconds(of.period));
      })
      .join(", "),
    ...(decision.allowed ? {} : retry(decision, resetOf(decision, now))),
  };
}

/** The body for a decision that refuses, to be sent as `application/problem+json`. Names no backend. */
export function toProblem<D extends string>(decision: Decision<D> | WindowedDecision<D>): QuotaProblem {
  const { exceeded, granted, mode, period, reason } = decision;
  if (reason === "held") return waitProblem(decision, `${leftOf(exceeded)} is held for work that is going on`);
  if (reason === "unready") return waitProblem(decision, "What other instances have is not known yet");
  if (reason === "offline") return waitProblem(decision, "Other instances cannot be asked for what they have left");
  const closed = closedFor(decision);
  const end = new Date(period.end).toISOString();
  const detail =
    closed.length > 0
      ? `The limit of ${closed.join(" and ")} is ${granted === undefined ? "0: none of it" : "0, and what was granted is used up: no more of it"} may be used.`
      : `The limit of ${exceeded.join(" and ")} in ${spanOf(decision)} leaves no room for this request. The next period begins at ${end}.`;
  return {
    type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
    title: "Request cannot be satisfied as assigned quota has been exceeded",
    status: 429,
    detail,
    ...(closed.length === 0 && { "resets-at": end }),
    error: { message: detail, type: "insufficient_quota", code: "insufficient_quota" },
    "violated-policies": violatedBy(decision),
    mode,
  };
}

/** A limit: of a dimension, in a window. */
interface Policy<D extends string> {
  readonly name: string;
  readonly dimension: D;
  readonly of: Decision<D>;
}

/** One for each limited dimension and window, as clients see it. */
function policiesOf<D extends string>(decision: Decision<D> | WindowedDecision<D>): readonly Policy<D>[] {
  const windows = "windows" in decision ? Object.entries(decision.windows) : [[undefined, decision] as const];
  return windows.flatMap(([window, of]) => {
    return (Object.keys(of.limits) as D[]).map((dimension) => ({ name: policyName(window, dimension), dimension, of }));
  });
}

/** What refuses: in every window that does. */
function violatedBy(decision: Decision<string> | WindowedDecision<string>): readonly string[] {
  const windows = "windows" in decision ? Object.entries(decision.windows) : [[undefined, decision] as const];
  return windows.flatMap(([window, { exceeded }]) => exceeded.map((dimension) => policyName(window, dimension)));
}

function policyName(window: string | undefined, dimension: string): string {
  return window === undefined ? dimension : `${window}:${dimension}`;
}

/** The key of a window's period may begin with its name. */
function spanOf(decision: Decision<string> | WindowedDecision<string>): string {
  const { key } = decision.period;
  if (!("window" in decision)) return `the period ${key}`;
  const { window } = decision;
  return `the window ${window} (${key.startsWith(`${window}:`) ? key.slice(window.length + 1) : key})`;
}

/** Whole seconds until the next period. */
function resetOf({ period }: Decision<string>, now: number): number {
  return resetSeconds(period.end, now);
}

/** Nothing is exceeded where others have what is left. */
function leftOf(exceeded: readonly string[]): string {
  return exceeded.length > 0 ? `What is left of ${exceeded.join(" and ")}` : "What is left";
}

/** What is used leaves room, and something that passes is in the way. */
function waitProblem(decision: Decision<string> | WindowedDecision<string>, why: string): QuotaProblem {
  const detail = `${why}: try again in a second.`;
  return {
    type: "about:blank",
    title: "Too Many Requests",
    status: 429,
    detail,
    error: { message: detail, type: "rate_limit_exceeded", code: "rate_limit_exceeded" },
    "violated-policies": violatedBy(decision),
    mode: decision.mode,
  };
}

/** The exceeded dimensions of which nothing may be used in the next period, either: all there is was granted for this one. */
function closedFor<D extends string>({ exceeded, limits, granted = {} }: Decision<D>): readonly D[] {
  return exceeded.filter((dimension) => (limits[dimension] ?? Number.POSITIVE_INFINITY) <= (granted[dimension] ?? 0));
}

function retry<D extends string>(decision: Decision<D>, reset: number): Record<string, string> {
  // fault: tells clients to come back next month for what is only held
  if (decision.reason !== "limit") return { "Retry-After": "1" };
  const seconds = closedFor(decision).length > 0 ? Number.POSITIVE_INFINITY : reset;
  // fault: asks clients to sleep until the month ends
  return seconds > LONGEST_WAIT ? { "x-should-retry": "false" } : { "Retry-After": String(seconds) };
}
