import { z } from "zod";
import { STORED_WINDOWS } from "../../../clients/client-windows.ts";
import { count, type Described, maybeInstant } from "../../openapi/operation.ts";
import { parts } from "./settings.ts";

const amounts = { dimension: z.string(), limit: count, usage: count, reached: parts };
const reached = z.object({ backend: z.string(), ...amounts }).meta({ id: "Reached" });
const reachedByClient = z
  .object({ client: z.string(), window: z.enum(STORED_WINDOWS), period: z.string(), ...amounts })
  .meta({ id: "ReachedByClient" });

export const thresholds = {
  GET: {
    summary: "The limits of which a part is used that somebody is told of.",
    answers: { 200: z.object({ period: z.string(), reached: z.array(z.union([reached, reachedByClient])) }) },
  },
} as const satisfies Described;

const webhook = z
  .object({
    name: z.string(),
    url: z.string().meta({ description: "The host alone." }),
    format: z.enum(["json", "slack"]),
    headers: z.array(z.string()).optional().meta({ description: "Their names." }),
    signed: z.boolean(),
    delivered: count,
    failed: count,
    failures: count,
    lastDelivery: maybeInstant,
    trouble: z.object({ code: z.string(), reason: z.string() }).nullable(),
  })
  .meta({ id: "Webhook" });

export const webhooks = {
  GET: {
    summary: "Who is told of thresholds, and how this run's deliveries go.",
    answers: { 200: z.object({ thresholds: parts, webhooks: z.array(webhook) }) },
  },
} as const satisfies Described;
