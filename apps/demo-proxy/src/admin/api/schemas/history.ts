import { z } from "zod";
import { amounts, count, type Described, instant, STORE_FAILED } from "../../openapi/operation.ts";

const months = z
  .object({ history: z.array(z.object({ period: z.string(), backend: z.string(), usage: amounts })) })
  .meta({ id: "Months", description: "By month." });

const projected = z
  .object({
    atEnd: count,
    low: count,
    high: count,
    confidence: z.number(),
    from: count,
    unit: z.enum(["day", "hour"]),
    perDay: z.number(),
  })
  .meta({ id: "Projected", description: "What the month's end will be, were nothing refused." });

const stepsOf = z.object({
  usage: z.record(z.string(), z.array(count)).meta({ description: "By dimension, an amount for each step." }),
  undated: amounts,
  total: amounts,
  projection: z.record(z.string(), projected.nullable()).optional(),
});

const steps = z
  .object({
    by: z.enum(["day", "hour"]),
    of: z.string(),
    period: z.string(),
    at: instant,
    start: instant,
    end: instant,
    steps: z.array(instant),
    dimensions: z.array(z.string()),
    all: stepsOf,
    backends: z.array(stepsOf.extend({ name: z.string() })),
  })
  .meta({ id: "Steps", description: "A month by day, or a day of UTC by hour." });

export const history = {
  GET: {
    summary: "Stored usage by month, by day of one month, or by hour of one day.",
    query: z.object({
      by: z.enum(["month", "day", "hour"]).optional().meta({ default: "month" }),
      backend: z.string().optional(),
      from: z.string().optional().meta({ description: "By month: the first one, such as 2026-01." }),
      to: z.string().optional().meta({ description: "By month: the last one." }),
      of: z.string().optional().meta({ description: "By day: the month; by hour: the day. This one unless told." }),
    }),
    answers: { 200: z.union([months, steps]) },
    problems: {
      400: "The query is not what is taken here.",
      404: "No backend has this name, now or earlier; or the store keeps no usage by day and hour.",
      503: STORE_FAILED,
    },
  },
} as const satisfies Described;
