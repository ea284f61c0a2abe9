import type { WebhookAttempt } from "../webhooks/delivery-status.ts";
import { thresholdText } from "../webhooks/threshold-text.ts";
import type { Log } from "./logger.ts";
import { messageOf } from "./message-of.ts";

/** Writes a line for each event that a webhook was told, and for its 1st, 10th, 100th and so on failure in a row. To be called for each attempt. */
export function webhookLog(log: Log): (attempt: WebhookAttempt) => void {
  return ({ webhook, event, trouble, failures }) => {
    const fields = { webhook, ...event };
    const words = thresholdText(event);
    if (trouble === undefined) {
      const after = failures === 0 ? "" : `, after ${failures === 1 ? "1 failure" : `${failures} failures`}`;
      log.info({ ...fields, event: "webhook-told" }, `told ${webhook}${after}: ${words}`);
    } else if (/^10*$/.test(String(failures))) {
      const line = `${webhook} was not told, and is tried again: ${trouble.reason} (${trouble.code}). ${words}`;
      log.warn({ ...fields, event: "webhook-failed", failures, ...trouble }, line);
    }
  };
}

/** Writes a line for why the store does not say what webhooks are to be told: once for each run of failures of one kind. */
export function webhookErrorLog(log: Log): (error: unknown) => void {
  let told = "";
  return (error) => {
    const message = messageOf(error);
    if (message !== told)
      log.warn({ event: "webhooks-failed", error: message }, `thresholds are not told for now: ${message}`);
    told = message;
  };
}
