import type { ProxyConfig } from "../../config/proxy-config.ts";
import { shownWebhook } from "../../log/describe-config.ts";
import type { Webhooks } from "../../webhooks/webhooks.ts";
import { type JsonAnswer, ok } from "../problem.ts";

export interface WebhookParts {
  readonly webhooks: Pick<Webhooks, "status">;
  /** The configuration in force. */
  readonly inForce: () => Pick<ProxyConfig, "thresholds">;
}

/** Answers `GET /api/webhooks`: who is told of thresholds, and how this run's deliveries go. Instants are ISO 8601. */
export function listWebhooks({ webhooks, inForce }: WebhookParts): JsonAnswer {
  const list = webhooks.status().map(([webhook, { delivered, failed, failures, lastDeliveryMs, trouble }]) => ({
    ...shownWebhook(webhook),
    delivered,
    failed,
    failures,
    lastDelivery: lastDeliveryMs === undefined ? null : new Date(lastDeliveryMs).toISOString(),
    trouble: trouble ?? null,
  }));
  return ok({ thresholds: inForce().thresholds, webhooks: list });
}
