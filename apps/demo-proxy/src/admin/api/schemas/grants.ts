import { z } from "zod";
import {
  amounts,
  type Described,
  instant,
  maybeText,
  NO_BACKEND,
  ODD_BODY,
  STORE_FAILED,
} from "../../openapi/operation.ts";
import { grantBody } from "../grant-body.ts";

const report = z
  .object({
    backend: z.string(),
    id: z.string(),
    amounts,
    reason: z.string(),
    by: maybeText,
    grantedAt: instant.meta({ description: "By the store's clock." }),
  })
  .meta({ id: "Grant" });

export const grants = {
  GET: {
    summary: "What was granted in a period, the latest first.",
    query: z.object({
      period: z.string().optional().meta({ description: "Such as 2026-01; the current one unless told." }),
      backend: z.string().optional(),
    }),
    answers: { 200: z.object({ period: z.string(), grants: z.array(report) }) },
    problems: { 400: "The query is not what is taken here.", 503: STORE_FAILED },
  },
} as const satisfies Described;

const granted = z
  .object({ name: z.string(), period: z.string(), id: z.string(), amounts, granted: amounts, limits: amounts })
  .meta({ id: "Granted" });

export const grant = {
  POST: {
    summary: "Raises limits for what is left of the period, once for each id.",
    body: { schema: grantBody, required: true },
    answers: { 200: granted, 201: granted },
    problems: {
      ...ODD_BODY,
      404: NO_BACKEND,
      409: "Another period, or other amounts under this id; nothing was granted.",
      503: `${STORE_FAILED} It may be granted all the same: send it again.`,
    },
  },
} as const satisfies Described;
