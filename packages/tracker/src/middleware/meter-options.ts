import type { Awaitable, Limits, Usage } from "@usage/counter-core";
import { assertDelay, isAmount, isDictionary, isThenable } from "@usage/counter-core/internal";
import { dimensionsOf, type MeteredUsage } from "./metered-usage.ts";
import type { Refusal } from "./refusal.ts";

/** How an answer ended. */
export interface ResponseEnd {
  /** The bytes of its body that were handed to the network: none for HEAD, and compressed where that happens further out. */
  readonly bytes: number;
  /** False where the client went away, or the handler broke off, before all of it was handed to the network. */
  readonly isComplete: boolean;
}

/**
 * Whom a request is counted for, and what it costs. `A` is what the framework hands to a handler, `R` what a handler returns.
 *
 * What `skip`, `key`, `plan` and `cost` throw goes to the framework's error handler, and nothing is counted.
 */
export interface MeterOptions<D extends string, A extends readonly unknown[], R, L = Limits<D>> {
  /** The name of the backend that is charged: an API key's owner, say. Nothing (undefined, null or ""): the request is refused. */
  readonly key: (...exchange: A) => Awaitable<string | null | undefined>;
  /**
   * The limits of whom `key` names, where the request tells which they are: of a session, say. Let it return the same object for the
   * same plan; undefined: the default ones. They replace what the tracker's `limits` and `setLimits` say. @default what the tracker says
   */
  readonly plan?: (...exchange: A) => Awaitable<L | undefined>;
  /**
   * What a request costs, as far as it is known before: it is refused where there is no room for it. With `settle` or
   * `responseBytes` it is held until the answer has ended, otherwise counted at once. @default 1 of the counter's first dimension
   */
  readonly cost?: Partial<Usage<D>> | ((...exchange: A) => Awaitable<Partial<Usage<D>>>);
  /**
   * What it really used, once the answer has ended; undefined: what `cost` said. Also called after a handler that threw, and for a
   * client that went away.
   */
  readonly settle?: (...args: [...exchange: A, end: ResponseEnd]) => Awaitable<Partial<Usage<D>> | undefined>;
  /**
   * The dimension in which the bytes of answers are counted, each as it goes out. An amount of it in `cost` is held, at least 1; one
   * that `settle` returns is counted where it is larger than what went out. @default none
   */
  readonly responseBytes?: D;
  /** Whether a request passes without being counted, and without headers. @default none */
  readonly skip?: (...exchange: A) => Awaitable<boolean>;
  /** Answers a refused request in place of the problem body. Its headers are set already. */
  readonly onRefused?: (...args: [...exchange: A, refusal: Refusal<D>]) => R;
  /**
   * Hears what `settle` throws, and amounts that it returns and that are none: what `cost` said is counted then.
   * @default process.emitWarning
   */
  readonly onError?: (error: unknown) => void;
  /** How long a request may wait for what others hold, in milliseconds. @default 0 */
  readonly waitMs?: number;
  /** After how long what is held is free again though the answer has not ended, in milliseconds. @default 600_000 */
  readonly ttlMs?: number;
}

const FUNCTIONS = ["key", "plan", "settle", "skip", "onRefused", "onError"] as const;
const NAMES = new Set<string>([...FUNCTIONS, "cost", "responseBytes", "waitMs", "ttlMs"]);

/** @throws TypeError or RangeError that names the option which is wrong. */
export function assertMeterOptions<D extends string, A extends readonly unknown[], R, L>(
  usage: MeteredUsage<D, L>,
  options: MeterOptions<D, A, R, L>,
): void {
  if (typeof usage?.tryReserve !== "function") {
    throw new TypeError("metered takes a tracker first: what openUsage resolves to, or a UsageTracker");
  }
  if (!isDictionary(options)) throw new TypeError("metered takes options after the tracker: { key: (request) => ... }");
  for (const name of Object.keys(options)) {
    if (!NAMES.has(name)) throw new TypeError(`metered has no option ${name}: it has ${[...NAMES].join(", ")}`);
  }
  for (const name of FUNCTIONS) {
    const given = options[name];
    if (given === undefined && name !== "key") continue;
    if (typeof given !== "function") throw new TypeError(`${name} must be a function, got ${kindOf(given)}`);
  }
  const { cost, responseBytes, waitMs = 0, ttlMs } = options;
  const dimensions = dimensionsOf(usage);
  if (cost !== undefined && typeof cost !== "function") assertCost(dimensions, cost);
  if (responseBytes !== undefined && !dimensions.includes(responseBytes)) {
    const known = dimensions.join(", ");
    throw new TypeError(
      `responseBytes must be a dimension of the counter (${known}), got ${JSON.stringify(responseBytes)}`,
    );
  }
  if (waitMs !== 0) assertDelay("waitMs", waitMs);
  if (ttlMs !== undefined) assertDelay("ttlMs", ttlMs);
}

/** Where it is known when the server starts, nobody should hear of it with the first request. */
function assertCost(dimensions: readonly string[], cost: unknown): void {
  if (!isAmounts(cost)) throw new TypeError(`cost must be an object or a function, got ${kindOf(cost)}`);
  for (const [dimension, amount] of Object.entries(cost)) {
    if (!dimensions.includes(dimension)) {
      throw new TypeError(`cost has no dimension ${dimension}: the counter has ${dimensions.join(", ")}`);
    }
    if (amount !== undefined && !isAmount(amount)) {
      throw new RangeError(`cost.${dimension} must be a whole number from 0 to 2^53-1, got ${String(amount)}`);
    }
  }
}

/** Whether a value can hold amounts by name. A promise has none, and would make everything free. */
export function isAmounts(value: unknown): value is Readonly<Record<string, unknown>> {
  return isDictionary(value) && !isThenable(value);
}

/** What a value is, for an error. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "undefined";
  return Array.isArray(value) ? "an array" : isThenable(value) ? "a promise" : `a value of type ${typeof value}`;
}
