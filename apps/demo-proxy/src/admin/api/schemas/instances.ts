import { z } from "zod";
import { amounts, type Described, instant, maybeInstant, maybeText, STORE_FAILED } from "../../openapi/operation.ts";

const instance = z
  .object({
    id: z.string(),
    self: z.boolean(),
    state: z.enum(["live", "silent", "stopped", "unknown"]),
    startedAt: instant,
    seenAt: maybeInstant,
    stoppedAt: maybeInstant,
    version: maybeText,
    host: maybeText,
    pid: z.int().nullable(),
    address: maybeText,
    usage: amounts,
  })
  .meta({ id: "Instance" });

export const instances = {
  GET: {
    summary: "Who counts on this store, and what is stored of it.",
    answers: {
      200: z.object({ at: instant, period: z.string(), others: amounts, instances: z.array(instance) }),
    },
    problems: { 404: "The store keeps no instances.", 503: STORE_FAILED },
  },
} as const satisfies Described;
