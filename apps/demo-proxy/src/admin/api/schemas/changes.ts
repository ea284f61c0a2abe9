import { z } from "zod";
import {
  amounts,
  count,
  type Described,
  instant,
  maybeText,
  NO_BACKEND,
  ODD_BODY,
  STORE_FAILED,
} from "../../openapi/operation.ts";
import { settingBodies, trailBody } from "../setting-body.ts";
import { parts, settingOf } from "./settings.ts";

export const ifMatch = z.object({
  "if-match": z
    .string()
    .optional()
    .meta({ description: 'The revision that the change follows, such as "7"; absent or *: any.' }),
});

/** Why a change of a setting is refused. */
export function changeProblems(setting: string, value: z.ZodType) {
  return {
    ...ODD_BODY,
    404: NO_BACKEND,
    412: {
      why: "It was changed meanwhile, to this; nothing was changed.",
      more: settingOf(value).extend({ setting: z.literal(setting) }),
    },
    503: STORE_FAILED,
  } as const;
}

function setting(name: "limits" | "thresholds", value: z.ZodType) {
  const common = {
    header: ifMatch,
    answers: { 200: settingOf(value).extend({ name: z.string(), setting: z.literal(name) }) },
    problems: changeProblems(name, value),
    isRevised: true,
  };
  return {
    PUT: {
      ...common,
      summary: `The ${name} of a backend, in place of what the file says.`,
      body: { schema: settingBodies[name], required: true },
    },
    DELETE: {
      ...common,
      summary: `The ${name} of a backend are what the file says again.`,
      body: { schema: trailBody, required: false },
    },
  } satisfies Described;
}

export const limits = setting("limits", amounts);
export const thresholdsOfBackend = setting("thresholds", parts);

const change = z
  .object({
    revision: count.nullable().meta({ description: "Null for grants." }),
    backend: z.string(),
    setting: z.enum(["limits", "thresholds", "drained", "grant"]),
    before: z.unknown(),
    after: z.unknown(),
    by: maybeText,
    reason: maybeText,
    at: instant,
  })
  .meta({ id: "Change" });

export const changes = {
  GET: {
    summary: "Who changed what, the latest first.",
    query: z.object({ backend: z.string().optional() }),
    answers: {
      200: z.object({
        unused: z
          .array(z.string())
          .meta({ description: "Backends that were changed, and are not in the file any more." }),
        changes: z.array(change),
      }),
    },
    problems: { 400: "The query is not what is taken here.", 503: STORE_FAILED },
  },
} as const satisfies Described;
