import { z } from "zod";
import { count, type Described, STORE_FAILED } from "../../openapi/operation.ts";

const row = z
  .object({
    backend: z.string(),
    dimension: z.string(),
    counted: count,
    shared: count.nullable(),
    stored: count,
    verdict: z.enum(["equal", "unstored", "unheard", "missing"]),
  })
  .meta({ id: "AuditRow" });

export const audit = {
  GET: {
    summary: "What is counted, beside what the store holds now.",
    answers: { 200: z.object({ period: z.string(), rows: z.array(row) }) },
    problems: { 503: STORE_FAILED },
  },
} as const satisfies Described;
