import type { Clock } from "@usage/counter-core";
import { DeliveryTimeoutError } from "@usage/tracker";
import { type Trouble, troubleOf } from "../proxy/upstream/trouble.ts";
import { WebhookError } from "./send-webhook.ts";
import type { WebhookEvent } from "./webhook-event.ts";

/** What became of an attempt to deliver an event. */
export interface WebhookAttempt {
  /** The webhook's name. */
  readonly webhook: string;
  readonly event: WebhookEvent;
  /** Why it failed; absent when it was delivered. It shows no secret. */
  readonly trouble?: Trouble;
  /** Attempts at this webhook that failed since the last good one, this one not counted if it is good. */
  readonly failures: number;
}

/** How deliveries to one webhook go, since this run began. */
export class DeliveryStatus {
  delivered = 0;
  failed = 0;
  /** Attempts that failed since the last good one. */
  failures = 0;
  /** When the last good one ended, in milliseconds since the Unix epoch. */
  lastDeliveryMs: number | undefined;
  /** Why the last attempt failed; undefined after a good one. */
  trouble: Trouble | undefined;
  readonly #webhook: string;
  readonly #clock: Clock;

  constructor(webhook: string, clock: Clock) {
    this.#webhook = webhook;
    this.#clock = clock;
  }

  succeeded(event: WebhookEvent): WebhookAttempt {
    const { failures } = this;
    this.delivered += 1;
    this.failures = 0;
    this.lastDeliveryMs = this.#clock.now();
    this.trouble = undefined;
    return { webhook: this.#webhook, event, failures };
  }

  failedBy(error: unknown, event: WebhookEvent): WebhookAttempt {
    const trouble = webhookTroubleOf(error);
    this.failed += 1;
    this.failures += 1;
    this.trouble = trouble;
    return { webhook: this.#webhook, event, trouble, failures: this.failures };
  }
}

function webhookTroubleOf(error: unknown): Trouble {
  if (error instanceof WebhookError) return { code: String(error.status), reason: error.message };
  if (error instanceof DeliveryTimeoutError) {
    return { code: "ETIMEDOUT", reason: "it does not answer in time; see its own log" };
  }
  return troubleOf(error);
}
