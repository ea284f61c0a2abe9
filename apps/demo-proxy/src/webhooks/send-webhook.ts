import { type Dispatcher, request } from "undici";
import type { WebhookConfig } from "../config/proxy-config.ts";
import { packageVersion } from "../log/version.ts";
import { sign } from "./sign.ts";
import { webhookBody } from "./webhook-body.ts";
import type { WebhookEvent } from "./webhook-event.ts";

/** A receiver that did not take a delivery. Neither its message nor anything else of it shows a secret. */
export class WebhookError extends Error {
  readonly code = "USAGE_PROXY_WEBHOOK";
  readonly status: number;

  constructor(status: number) {
    super(`it answers ${status}${adviceOn(status)}`);
    this.name = "WebhookError";
    this.status = status;
  }
}

export interface SendOptions {
  readonly dispatcher: Dispatcher;
  /** The time of this attempt, in milliseconds since the Unix epoch. */
  readonly nowMs: number;
  /** Ends the attempt, which is then taken for failed. */
  readonly signal: AbortSignal;
}

/** What a receiver may write in an answer that nobody reads. */
const MOST_ANSWER_BYTES = 65_536;
/** How long that may take, from its status on. */
const LONGEST_ANSWER_MS = 500;

/**
 * One attempt to deliver an event: resolves once the receiver has answered 2xx. A redirect is not followed, since what is
 * signed and the headers are meant for one address.
 *
 * @throws WebhookError for any other answer; undici's error when there is none.
 */
export async function sendWebhook(
  { url, headers, secret, format }: WebhookConfig,
  event: WebhookEvent,
  { dispatcher, nowMs, signal }: SendOptions,
): Promise<void> {
  const body = webhookBody(format, event);
  const timestamp = Math.floor(nowMs / 1_000);
  const { statusCode, body: answer } = await request(url, {
    dispatcher,
    signal,
    method: "POST",
    headers: {
      "user-agent": `usage-demo-proxy/${packageVersion()}`,
      ...headers,
      "content-type": "application/json",
      // fault: gives each delivery an id of its own
      "webhook-id": event.id,
      "webhook-timestamp": String(timestamp),
      // fault: does not sign
      ...(secret !== undefined && { "webhook-signature": sign(secret, { id: event.id, timestamp, body }) }),
    },
    body,
  });
  // The status says all; how the rest of it ends, and whether it does, changes nothing.
  const rest = AbortSignal.timeout(LONGEST_ANSWER_MS);
  // fault: waits for the end of an answer that says nothing more
  await answer.dump({ limit: MOST_ANSWER_BYTES, signal: rest }).catch(() => {});
  // fault: takes any answer for a delivery
  if (statusCode < 200 || statusCode > 299) throw new WebhookError(statusCode);
}

function adviceOn(status: number): string {
  if (status >= 300 && status < 400) return ", a redirect, which is not followed; give the address where it leads";
  if (status === 401 || status === 403) return "; check its headers and its secret";
  if (status === 404 || status === 405 || status === 410) return "; check its url";
  if (status === 429 || status >= 500) return "; it is asked again";
  return "; see its own log";
}
