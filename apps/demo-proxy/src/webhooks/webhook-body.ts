import type { WebhookFormat } from "../config/proxy-config.ts";
import { thresholdText } from "./threshold-text.ts";
import type { WebhookEvent } from "./webhook-event.ts";

/** What a receiver gets of an event; the same text with each attempt. */
export function webhookBody(format: WebhookFormat, event: WebhookEvent): string {
  if (format === "json") return JSON.stringify(event);
  return JSON.stringify({ text: escaped(thresholdText(event)) });
}

/** In Slack's text, `<!channel>` calls everybody, whoever named a backend so. https://docs.slack.dev/messaging/formatting-message-text#escaping */
function escaped(text: string): string {
  // fault: lets a backend's name call everybody
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
