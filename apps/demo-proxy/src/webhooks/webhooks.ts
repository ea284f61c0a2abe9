import { isDeepStrictEqual } from "node:util";
import type { Clock } from "@usage/counter-core";
import { type DeliveryTimes, ThresholdNotifier, type UsageTracker } from "@usage/tracker";
import { Agent } from "undici";
import { clientThresholds } from "../clients/client-thresholds.ts";
import type { ClientUsage } from "../clients/client-usage.ts";
import type { ProxyConfig, WebhookConfig } from "../config/proxy-config.ts";
import { DeliveryStatus, type WebhookAttempt } from "./delivery-status.ts";
import { sendWebhook } from "./send-webhook.ts";
import { thresholdsOf } from "./thresholds-of.ts";
import { type Watched, watchedOf } from "./watched.ts";
import { ofClient, type WebhookEvent } from "./webhook-event.ts";

/** What of a configuration says who is told of what. */
export type WebhooksConfig = Pick<ProxyConfig, "webhooks" | "thresholds" | "backends" | "clients" | "terms">;

export interface WebhooksOptions {
  readonly config: WebhooksConfig;
  readonly tracker: UsageTracker;
  readonly clientUsage: Pick<ClientUsage, "storedTrackers">;
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
  readonly notifiers: readonly ThresholdNotifier[];
  readonly status: DeliveryStatus;
  /** Ends what is under way. */
  readonly ending: AbortController;
}

/**
 * Tells each webhook what has reached a threshold: a notifier for each and whatever counts, with a channel of its own in the outbox
 * of the store.
 */
export class Webhooks {
  readonly #options: WebhooksOptions;
  // Deliveries are rare: a connection that was kept would most likely be gone by the next one.
  readonly #agent = new Agent({ pipelining: 0 });
  #config: WebhooksConfig;
  #watched: readonly Watched[] = [];
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
    this.#watched = this.#look();
    this.#running = this.#config.webhooks.map((webhook) => this.#run(webhook));
  }

  /** Takes over other webhooks and thresholds. What is owed to one that keeps its name goes to its new address. */
  update(config: WebhooksConfig): void {
    const isSame =
      isDeepStrictEqual(thresholdsOf(config), thresholdsOf(this.#config)) &&
      isDeepStrictEqual(clientThresholds(config), clientThresholds(this.#config));
    this.#config = config;
    if (!this.#isStarted) return;
    const before = this.#watched;
    this.#watched = this.#look();
    // Clients may be counted by others than before.
    // fault: goes on watching what counted clients before
    const areSame =
      isSame &&
      before.length === this.#watched.length &&
      before.every(({ tracker }, at) => tracker === this.#watched[at]?.tracker);
    const old = new Map(this.#running.map((running) => [running.webhook.name, running]));
    this.#running = config.webhooks.map((webhook) => {
      const known = old.get(webhook.name);
      if (known === undefined) return this.#run(webhook);
      if (!areSame || JSON.stringify(known.webhook) !== JSON.stringify(webhook))
        return this.#run(webhook, known.status);
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
    const { clock, times, onError = () => {} } = this.#options;
    const status = known ?? new DeliveryStatus(webhook.name, clock);
    const ending = new AbortController();
    // As they are now: with others, other notifiers take over.
    const notifiers = this.#watched.map(({ tracker, window, thresholdsOf }) => {
      const notifier = new ThresholdNotifier({
        tracker,
        clock,
        channel: webhook.name,
        thresholds: thresholdsOf,
        ...(window !== undefined && { window }),
        onThreshold: (event, { signal }) => {
          return this.#deliver(window === undefined ? event : ofClient(event), signal, { webhook, status, ending });
        },
        ...times,
      });
      notifier.onError(({ error, event }) => {
        // Why an event was not delivered is told by then; not that the store does not know that one was.
        const isTold = event !== undefined && status.trouble !== undefined;
        if (!isTold && !ending.signal.aborted) onError(error);
      });
      notifier.start();
      return notifier;
    });
    return { webhook, notifiers, status, ending };
  }

  #look(): readonly Watched[] {
    const { tracker, clientUsage } = this.#options;
    return watchedOf(this.#config, tracker, clientUsage);
  }

  async #deliver(event: WebhookEvent, late: AbortSignal, to: Omit<Running, "notifiers">): Promise<void> {
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

  async #end({ notifiers, ending }: Running): Promise<void> {
    // fault: lets a webhook that hangs hold up the end
    const cancel = this.#options.clock.after(LAST_WORD_MS, () => ending.abort());
    await Promise.all(notifiers.map((notifier) => notifier.stop()));
    cancel();
  }
}
