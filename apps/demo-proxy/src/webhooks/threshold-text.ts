import type { WebhookEvent } from "./webhook-event.ts";

const WORDS: Readonly<Record<string, string>> = {
  apiRequests: "request",
  egressBytes: "egress",
  ingressBytes: "ingress",
};
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** An event in a sentence, as in: oci has reached 80 % of its request limit in 2026-11: 40,012 of 50,000. */
export function thresholdText(event: WebhookEvent): string {
  const { dimension, threshold, limit, usage } = event;
  const what = WORDS[dimension] ?? dimension;
  const amounts = `${amountText(dimension, usage)} of ${amountText(dimension, limit)}`;
  const part = threshold === 1 ? "" : `${percentText(threshold)} of `;
  return `${nameOf(event)} has reached ${part}its ${what} limit in ${spanOf(event)}: ${amounts}`;
}

function nameOf(event: WebhookEvent): string {
  return "client" in event ? `The client ${event.client}` : event.backend;
}

/** The keys of days and weeks begin with the window's name. */
function spanOf({ window, period }: WebhookEvent): string {
  if (window === undefined) return period;
  return `the ${window} ${period.startsWith(`${window}:`) ? period.slice(window.length + 1) : period}`;
}

function percentText(part: number): string {
  return `${Number((part * 100).toPrecision(6))} %`;
}

function amountText(dimension: string, amount: number): string {
  if (!dimension.endsWith("Bytes")) return amount.toLocaleString("en");
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, amount)) / 3));
  return `${Number((amount / 1_000 ** power).toPrecision(3))} ${UNITS[power]}`;
}
