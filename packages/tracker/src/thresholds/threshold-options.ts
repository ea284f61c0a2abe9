import type { StorageDimension } from "@usage/counter-core";
import { assertDelay, assertText } from "@usage/counter-core/internal";
import type { Outbox } from "./notice-courier.ts";
import type { Delivery, ThresholdEvent } from "./threshold-event.ts";
import { checkedThresholds, type Thresholds } from "./thresholds.ts";

/** What to be told of, and how. */
export interface ThresholdOptions<D extends string = StorageDimension> {
  /**
   * The parts of each limit that are told of once what is stored reaches them, `[0.5, 0.8, 1]` say; or a function that returns those
   * of a backend (and of a window, where there are windows). A limit of 0 has none.
   */
  readonly thresholds: Thresholds;
  /**
   * Is told of each crossing once or more, always with the same `id`: again where it throws, rejects or takes longer than `timeoutMs`,
   * and where the process dies before that is known to the store.
   */
  readonly onThreshold: (event: ThresholdEvent<D>, delivery: Delivery) => Promise<void> | void;
}

/** When to try again. */
export interface DeliveryTimes {
  /** The pause after an attempt that failed, which doubles up to `max`, in milliseconds. @default 30_000, up to 3_600_000 */
  readonly retryMs?: { readonly first: number; readonly max: number };
  /** How long `onThreshold` may take, in milliseconds; less than the first pause. @default 10_000 */
  readonly timeoutMs?: number;
}

/** What is given by hand. */
export type CheckableOptions<D extends string> = ThresholdOptions<D> & DeliveryTimes & { readonly channel?: string };

/** Options that are right, with their defaults. */
export interface CheckedThresholdOptions<D extends string>
  extends Pick<ThresholdOptions<D>, "onThreshold">,
    Required<DeliveryTimes> {
  readonly store: Outbox;
  readonly thresholdsOf: (backend: string, window?: string) => readonly number[];
  readonly channel: string;
}

const MAX_CHANNEL = 200;

/** @throws TypeError or RangeError that names the option that is wrong. */
export function checkedThresholdOptions<D extends string>(
  store: object,
  options: CheckableOptions<D>,
): CheckedThresholdOptions<D> {
  const { thresholds, onThreshold, channel = "default", retryMs = { first: 30_000, max: 3_600_000 } } = options;
  const { timeoutMs = 10_000 } = options;
  if (typeof onThreshold !== "function") {
    throw new TypeError(`onThreshold must be a function that is told of events, got ${String(onThreshold)}`);
  }
  const thresholdsOf = checkedThresholds(thresholds);
  assertText("channel", channel, MAX_CHANNEL);
  assertDelay("timeoutMs", timeoutMs);
  assertDelay("retryMs.first", retryMs.first);
  assertDelay("retryMs.max", retryMs.max, retryMs.first);
  if (retryMs.first <= timeoutMs) {
    throw new RangeError(
      `retryMs.first must be more than timeoutMs, for so long an attempt may be under way; got ${retryMs.first} and ${timeoutMs}`,
    );
  }
  if (!isOutbox(store)) {
    throw new TypeError(
      "thresholds need a store with claim, notices and acknowledge, as memoryStore and those of @usage/store-drizzle have",
    );
  }
  return { store, thresholdsOf, onThreshold, channel, retryMs: { ...retryMs }, timeoutMs };
}

/** Those that were given; undefined where none were. @throws TypeError where one is given without the other. */
export function givenThresholds<D extends string>({
  thresholds,
  onThreshold,
}: Partial<ThresholdOptions<D>>): ThresholdOptions<D> | undefined {
  if (thresholds === undefined && onThreshold === undefined) return undefined;
  if (onThreshold === undefined) throw new TypeError("thresholds are given without onThreshold: who is to be told?");
  if (thresholds === undefined) throw new TypeError("onThreshold is given without thresholds: [0.5, 0.8, 1] say");
  return { thresholds, onThreshold };
}

function isOutbox(store: object): store is Outbox {
  return ["claim", "notices", "acknowledge"].every(
    (name) => typeof (store as Record<string, unknown>)[name] === "function",
  );
}
