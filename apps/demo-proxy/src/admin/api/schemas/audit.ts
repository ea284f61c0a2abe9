import { z } from "zod";
import { STORED_WINDOWS } from "../../../clients/client-windows.ts";
import { count, type Described, NO_CLIENT, STORE_FAILED } from "../../openapi/operation.ts";

const compared = {
  dimension: z.string(),
  counted: count,
  stored: count,
  verdict: z.enum(["equal", "unstored", "unheard", "missing"]),
};
const row = z.object({ backend: z.string(), shared: count.nullable(), ...compared }).meta({ id: "AuditRow" });
const window = z.enum(STORED_WINDOWS);
const clientRow = z
  .object({ client: z.string(), window, period: z.string(), ...compared })
  .meta({ id: "ClientAuditRow" });

export const audit = {
  GET: {
    summary: "What is counted, beside what the store holds now.",
    answers: { 200: z.object({ period: z.string(), rows: z.array(row) }) },
    problems: { 503: STORE_FAILED },
  },
} as const satisfies Described;

export const clientAudit = {
  GET: {
    summary: "What is counted of clients in the current periods of their windows, beside what the store holds now.",
    query: z.object({
      client: z.string().optional().meta({ description: "Its name." }),
      window: window.optional(),
    }),
    answers: { 200: z.object({ rows: z.array(clientRow) }) },
    problems: { 400: "The query is not what is taken here.", 404: NO_CLIENT, 503: STORE_FAILED },
  },
} as const satisfies Described;
