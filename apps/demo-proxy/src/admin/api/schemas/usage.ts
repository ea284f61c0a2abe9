import { z } from "zod";
import { REFUSAL_CAUSES } from "../../../proxy/answers/refusal-counts.ts";
import { amounts, count, type Described, instant, maybeInstant, maybeText, period } from "../../openapi/operation.ts";
import { settings } from "./settings.ts";

const recent = z
  .object({ lastMinute: count, thisPeriod: count })
  .meta({ id: "RecentCount", description: "Of this instance." });

const refusals = z
  .object({
    ...recent.shape,
    since: instant,
    causes: z.array(z.object({ ...recent.shape, cause: z.enum(REFUSAL_CAUSES) })),
  })
  .meta({ id: "Refusals", description: "Requests that no backend served, of this instance." });

const cause = z.object({ code: z.string(), reason: z.string() });

/** All of a report but its backends. */
export const usageHead = {
  period,
  counter: z
    .object({
      kind: z.enum(["local", "redis"]),
      enforcement: z.enum(["exact", "approximate"]),
      healthy: z.boolean(),
      sharedAt: maybeInstant,
      sharedAgeMs: z.number().min(0).nullable(),
      lastError: maybeText,
    })
    .meta({ id: "CounterState" }),
  store: z
    .object({ kind: z.enum(["sqlite", "postgres"]), lastFlush: maybeInstant, lastError: maybeText })
    .meta({ id: "StoreState" }),
  config: z
    .object({ loadedAt: instant, error: maybeText, needRestart: z.array(z.string()), complaints: z.array(z.string()) })
    .meta({ id: "ConfigState" }),
  refusals,
};

/** What is said of a backend wherever it is. */
export const backend = {
  name: z.string(),
  url: z.string(),
  draining: z.boolean(),
  reachable: z.boolean(),
  trouble: cause.extend({ since: instant }).nullable(),
  withinLimits: z.boolean(),
  usage: amounts,
  problem: z.enum(["unready", "offline"]).nullable(),
  held: amounts,
  excess: amounts,
  delayedByReservations: z.boolean(),
  unstored: amounts,
  unpushed: amounts,
  limits: amounts,
  granted: amounts,
  passedBy: recent,
  broken: recent,
  brokenBy: cause.nullable(),
};

const report = z
  .object({ ...usageHead, backends: z.array(z.object({ ...backend, settings }).meta({ id: "Backend" })) })
  .meta({ id: "Usage" });

export const usage = {
  GET: { summary: "The usage of this period, of each backend.", answers: { 200: report } },
} as const satisfies Described;
