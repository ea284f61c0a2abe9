import { z } from "zod";
import { count, type Described, instant, maybeInstant, rates } from "../../openapi/operation.ts";
import { parts, settings } from "./settings.ts";
import { backend, usageHead } from "./usage.ts";

const outlook = z
  .object({ atEnd: count.nullable(), limitAt: maybeInstant })
  .meta({ id: "Outlook", description: "What will be used at the end of the period, and when the limit is reached." });

const liveBackend = z
  .object({
    ...backend,
    configured: z.boolean(),
    thresholds: parts,
    changed: settings.partial().meta({ description: "Of its settings those that were ever changed by API." }),
    inFlight: count,
    perSecond: rates,
    averagePerSecond: rates,
    outlook: z.record(z.string(), outlook),
  })
  .meta({ id: "LiveBackend" });

/** The data of one event. */
export const liveReport = z
  .object({
    ...usageHead,
    at: instant,
    startedAt: instant,
    proxy: z.object({ address: z.string(), routing: z.enum(["pack", "spread"]) }),
    places: z.object({ counter: z.string(), store: z.string() }),
    flushIntervalMs: count,
    whole: z.boolean().meta({
      description:
        "Whether backends are all, in their order; otherwise they are those that changed since the event before.",
    }),
    backends: z.array(liveBackend),
  })
  .meta({ id: "Live", description: "The data of one event of /api/events.", unusedIO: "output" });

export const events = {
  GET: {
    summary:
      "Server-sent events, one a second, each with the schema Live as its data: the first with all backends, later ones with those that changed.",
    answers: { 200: { type: "text/event-stream" } },
    problems: { 503: "Too many listen already." },
  },
} as const satisfies Described;
