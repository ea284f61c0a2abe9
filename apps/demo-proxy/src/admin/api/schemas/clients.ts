import { z } from "zod";
import { CLIENT_WINDOWS, STORED_WINDOWS } from "../../../clients/client-windows.ts";
import { amounts, count, type Described, maybeText, period } from "../../openapi/operation.ts";
import { clientSettings, planSettings } from "./settings.ts";

const windowName = z.enum(CLIENT_WINDOWS);

const inWindow = z
  .object({
    period,
    usage: amounts,
    held: amounts,
    limits: amounts,
    granted: amounts,
    usedPart: z.number().nullable(),
    reached: z.record(z.string(), z.array(z.number())),
    withinLimits: z.boolean(),
    unstored: amounts,
  })
  .meta({ id: "ClientWindow" });

const client = z
  .object({
    name: z.string(),
    plan: maybeText,
    missingPlan: maybeText.meta({ description: "The one that it was given by API, where that is gone from the file." }),
    settings: clientSettings,
    refused: count,
    withinLimits: z.boolean(),
    usedPart: z.number().nullable(),
    window: windowName.nullable(),
    dimension: maybeText,
    windows: z.partialRecord(windowName, inWindow),
  })
  .meta({ id: "Client" });

const windows = Object.fromEntries(CLIENT_WINDOWS.map((name) => [name, amounts.optional()]));
const plan = z
  .object({
    ...windows,
    timeZone: z.string().optional(),
    anchorDay: z.int().min(1).max(31).optional(),
    thresholds: z.partialRecord(z.enum(STORED_WINDOWS), z.array(z.number())).optional(),
  })
  .meta({ id: "Plan" });

export const clients = {
  GET: {
    summary: "Usage and limits by client, worst first.",
    query: z.object({
      search: z.string().optional().meta({ description: "A text in its name or plan." }),
      limit: z.int().min(1).max(1_000).optional().meta({ default: 50 }),
      offset: count.optional().meta({ default: 0 }),
    }),
    answers: {
      200: z.object({
        total: count,
        matching: count,
        offset: count,
        windows: z.array(windowName),
        plans: z.record(z.string(), plan),
        planSettings: z.record(z.string(), planSettings),
        clients: z.array(client),
      }),
    },
    problems: { 400: "The query is not what is taken here." },
  },
} as const satisfies Described;
