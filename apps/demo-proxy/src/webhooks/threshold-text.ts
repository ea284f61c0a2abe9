import type { ThresholdEvent } from "@usage/tracker";

const WORDS: Readonly<Record<string, string>> = {
  apiRequests: "request",
  egressBytes: "egress",
  ingressBytes: "ingress",
};
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** An event in a sentence, as in: oci has reached 80 % of its request limit in 2026-11: 40,012 of 50,000. */
export function thresholdText({ backend, dimension, threshold, limit, usage, period }: ThresholdEvent): string {
  const what = WORDS[dimension] ?? dimension;
  const amounts = `${amountText(dimension, usage)} of ${amountText(dimension, limit)}`;
  const part = threshold === 1 ? "" : `${percentText(threshold)} of `;
  return `${backend} has reached ${part}its ${what} limit in ${period}: ${amounts}`;
}

function percentText(part: number): string {
  return `${Number((part * 100).toPrecision(6))} %`;
}

function amountText(dimension: string, amount: number): string {
  if (!dimension.endsWith("Bytes")) return amount.toLocaleString("en");
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, amount)) / 3));
  return `${Number((amount / 1_000 ** power).toPrecision(3))} ${UNITS[power]}`;
}
