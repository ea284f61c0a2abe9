import type { Clock, Notice, UsageStore } from "@usage/counter-core";
import { withinTime } from "@usage/counter-core/internal";
import { type Delivery, DeliveryTimeoutError, type ThresholdEvent, type ThresholdFailure } from "./threshold-event.ts";

/** So many events are told at once: one whose receiver hangs holds up few others. */
const MAX_UNDER_WAY = 10;
/** The longest time until what another instance claimed, or failed to deliver, is taken here. */
const MAX_POLL_MS = 10_000;

export interface NoticeCourierParts<D extends string> {
  readonly store: Outbox;
  readonly channel: string;
  readonly onThreshold: (event: ThresholdEvent<D>, delivery: Delivery) => Promise<void> | void;
  readonly clock: Clock;
  readonly retryMs: { readonly first: number; readonly max: number };
  readonly timeoutMs: number;
  readonly onFailure: (failure: ThresholdFailure<D>) => void;
}

/** The side of a store that keeps what is to be delivered. */
export type Outbox = Required<Pick<UsageStore<never>, "notices" | "acknowledge">>;

/** Takes the events of a channel out of the store's outbox and tells them, until each is known to be told. */
export class NoticeCourier<D extends string> {
  readonly #parts: NoticeCourierParts<D>;
  readonly #underWay = new Set<Promise<void>>();
  #isRunning = false;
  /** Whether there may be more to take than was taken. */
  #isMore = false;
  #taking: Promise<void> | undefined;
  #cancelPoll = (): void => {};

  constructor(parts: NoticeCourierParts<D>) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#poll();
  }

  /** Something was put into the outbox. */
  wake(): void {
    this.#isMore = true;
    if (!this.#isRunning || this.#taking !== undefined) return;
    this.#taking = this.#takeAll().finally(() => {
      this.#taking = undefined;
      // What came while it ended.
      if (this.#isMore && this.#underWay.size < MAX_UNDER_WAY) this.wake();
    });
  }

  /** Takes nothing more; what is under way ends, or times out. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#cancelPoll();
    await this.#taking;
    await Promise.all(this.#underWay);
  }

  #poll(): void {
    const { clock, retryMs } = this.#parts;
    this.#cancelPoll = clock.after(Math.min(MAX_POLL_MS, retryMs.first), () => this.#poll());
    this.wake();
  }

  async #takeAll(): Promise<void> {
    const { store, channel, retryMs, onFailure } = this.#parts;
    while (this.#isRunning && this.#isMore && this.#underWay.size < MAX_UNDER_WAY) {
      const limit = MAX_UNDER_WAY - this.#underWay.size;
      this.#isMore = false;
      try {
        const notices = await store.notices(channel, { limit, retryMs });
        if (notices.length === limit) this.#isMore = true;
        for (const notice of notices) this.#begin(notice);
      } catch (error) {
        onFailure({ error });
        return;
      }
    }
  }

  #begin(notice: Notice): void {
    const delivery = this.#deliver(notice).finally(() => {
      this.#underWay.delete(delivery);
      if (this.#isMore) this.wake();
    });
    this.#underWay.add(delivery);
  }

  async #deliver(notice: Notice): Promise<void> {
    const { store, onThreshold, clock, timeoutMs, onFailure } = this.#parts;
    const { body, attempts: attempt } = notice;
    let event: ThresholdEvent<D> | undefined;
    try {
      const told: ThresholdEvent<D> = JSON.parse(body);
      event = told;
      const late = (): Error => new DeliveryTimeoutError(timeoutMs);
      // fault: a threshold event is acknowledged before it is told
      // fault: waits for ever for who is told of a threshold
      await withinTime(clock, timeoutMs, late, async (signal) => onThreshold(told, { attempt, signal }));
      await store.acknowledge([notice]);
    } catch (error) {
      // It is due again after its pause.
      onFailure({ error, ...(event !== undefined && { event }), attempt });
    }
  }
}
