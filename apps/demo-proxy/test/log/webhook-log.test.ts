import { expect, it } from "vitest";
import { webhookErrorLog, webhookLog } from "../../src/log/webhook-log.ts";
import { recordedLog } from "../support/recorded-log.ts";

const event = {
  id: "9f2c",
  backend: "oci",
  dimension: "egressBytes",
  threshold: 0.8,
  limit: 10_737_418_240,
  usage: 8_612_345_678,
  period: "2026-11",
} as const;
const trouble = { code: "500", reason: "it answers 500; it is asked again" };
const SENTENCE = "oci has reached 80 % of its egress limit in 2026-11: 8.61 GB of 10.7 GB";

it("what a webhook was told is a line, and so is its 1st, 10th and 100th failure in a row", () => {
  const { log, lines } = recordedLog();
  const attempt = webhookLog(log);
  for (let failures = 1; failures <= 120; failures++) attempt({ webhook: "ops", event, trouble, failures });
  attempt({ webhook: "ops", event, failures: 120 });
  attempt({ webhook: "ops", event, failures: 0 });
  expect(lines.map(({ level, event, failures }) => [level, event, failures])).toEqual([
    ["warn", "webhook-failed", 1],
    ["warn", "webhook-failed", 10],
    ["warn", "webhook-failed", 100],
    ["info", "webhook-told", undefined],
    ["info", "webhook-told", undefined],
  ]);
  for (const line of lines) expect(line).toMatchObject({ webhook: "ops", ...event });
  expect(lines.map(({ msg }) => msg).slice(2)).toEqual([
    `ops was not told, and is tried again: it answers 500; it is asked again (500). ${SENTENCE}`,
    `told ops, after 120 failures: ${SENTENCE}`,
    `told ops: ${SENTENCE}`,
  ]);
});

it("why the store does not say what is to be told is a line each time that the reason changes", () => {
  const { log, lines } = recordedLog();
  const failed = webhookErrorLog(log);
  for (const reason of ["away", "away", "full", "away"]) failed(new Error(reason));
  expect(lines.map(({ event, error }) => [event, error])).toEqual([
    ["webhooks-failed", "away"],
    ["webhooks-failed", "full"],
    ["webhooks-failed", "away"],
  ]);
});
