import { isDeepStrictEqual } from "node:util";
import type { Clock } from "@usage/counter-core";
import { type DeliveryTimes, type ThresholdEvent, ThresholdNotifier, type UsageTracker } from "@usage/tracker";
import { Agent } from "undici";
import type { ProxyConfig, WebhookConfig } from "../config/proxy-config.ts";
import { DeliveryStatus, type WebhookAttempt } from "./delivery-status.ts";
import { sendWebhook } from "./send-webhook.ts";
import { thresholdsOf } from "./thresholds-of.ts";

/** What of a configuration says who is told of what. */
export type WebhooksConfig = Pick<ProxyConfig, "webhooks" | "thresholds" | "backends">;

export interface WebhooksOptions {
  readonly config: WebhooksConfig;
  readonly tracker: UsageTracker;
  readonly clock: Clock;
  /** Is told of every attempt to deliver. @default nobody is */
  readonly onAttempt?: ((attempt: WebhookAttempt) => void) | undefined;
  /** Is told why the store could not be asked what is to be delivered, or told what was. @default nobody is */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** @default an attempt may take 10 s, and is repeated after 30 s, then 1 min and so on up to 1 h */
  readonly times?: DeliveryTimes | undefined;
}

/** How long a delivery that is under way may go on when its notifier ends. */
const LAST_WORD_MS = 2_000;

interface Running {
  readonly webhook: WebhookConfig;
  readonly notifier: ThresholdNotifier;
  readonly status: DeliveryStatus;
  /** Ends what is under way. */
  readonly ending: AbortController;
}

/** Tells each webhook what has reached a threshold: a notifier for each, with a channel of its own in the store's outbox. */
export class Webhooks {
  readonly #options: WebhooksOptions;
  // Deliveries are rare: a connection that was kept would most likely be gone by the next one.
  readonly #agent = new Agent({ pipelining: 0 });
  #config: WebhooksConfig;
  #running: readonly Running[] = [];
  #ended: Promise<unknown> = Promise.resolve();
  #isStarted = false;

  constructor(options: WebhooksOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /** Each webhook that is being told, and how deliveries to it go. */
  status(): readonly (readonly [WebhookConfig, DeliveryStatus])[] {
    return this.#running.map(({ webhook, status }) => [webhook, status]);
  }

  start(): void {
    this.#isStarted = true;
    this.#running = this.#config.webhooks.map((webhook) => this.#run(webhook));
  }

  /** Takes over other webhooks and thresholds. What is owed to one that keeps its name goes to its new address. */
  update(config: WebhooksConfig): void {
    const isSame = isDeepStrictEqual(thresholdsOf(config), thresholdsOf(this.#config));
    this.#config = config;
    if (!this.#isStarted) return;
    const old = new Map(this.#running.map((running) => [running.webhook.name, running]));
    this.#running = config.webhooks.map((webhook) => {
      const known = old.get(webhook.name);
      if (known === undefined) return this.#run(webhook);
      if (!isSame || JSON.stringify(known.webhook) !== JSON.stringify(webhook)) return this.#run(webhook, known.status);
      old.delete(webhook.name);
      return known;
    });
    const ended = Promise.all(Array.from(old.values(), (running) => this.#end(running)));
    this.#ended = Promise.all([this.#ended, ended]);
  }

  /**
   * Begins no delivery any more, and gives those under way a moment. What is left is delivered by another instance, or by the
   * next run.
   */
  async stop(): Promise<void> {
    this.#isStarted = false;
    await Promise.all([this.#ended, ...this.#running.map((running) => this.#end(running))]);
    await this.#agent.destroy();
  }

  #run(webhook: WebhookConfig, known?: DeliveryStatus): Running {
    const { tracker, clock, times, onError = () => {} } = this.#options;
    const status = known ?? new DeliveryStatus(webhook.name, clock);
    const ending = new AbortController();
    // As they are now: with others, another notifier takes over.
    const { thresholds, own } = thresholdsOf(this.#config);
    const notifier = new ThresholdNotifier({
      tracker,
      clock,
      channel: webhook.name,
      // fault: gives all backends the same thresholds
      thresholds: (backend) => own.get(backend) ?? thresholds,
      onThreshold: (event, { signal }) => this.#deliver(event, signal, { webhook, status, ending }),
      ...times,
    });
    notifier.onError(({ error, event }) => {
      // Why an event was not delivered is told by then; not that the store does not know that one was.
      const isTold = event !== undefined && status.trouble !== undefined;
      if (!isTold && !ending.signal.aborted) onError(error);
    });
    notifier.start();
    return { webhook, notifier, status, ending };
  }

  async #deliver(event: ThresholdEvent, late: AbortSignal, to: Omit<Running, "notifier">): Promise<void> {
    const { webhook, status, ending } = to;
    const { clock, onAttempt = () => {} } = this.#options;
    // fault: goes on with an attempt that is given up
    const signal = AbortSignal.any([ending.signal, late]);
    try {
      await sendWebhook(webhook, event, { dispatcher: this.#agent, nowMs: clock.now(), signal });
    } catch (error) {
      // That it was not let end is not the receiver's doing.
      if (!ending.signal.aborted) onAttempt(status.failedBy(error, event));
      // fault: takes a failed delivery for a good one
      throw error;
    }
    onAttempt(status.succeeded(event));
  }

  async #end({ notifier, ending }: Running): Promise<void> {
    // fault: lets a webhook that hangs hold up the end
    const cancel = this.#options.clock.after(LAST_WORD_MS, () => ending.abort());
    await notifier.stop();
    cancel();
  }
}
