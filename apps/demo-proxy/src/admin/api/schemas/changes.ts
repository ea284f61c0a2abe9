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
import { settingBodies, trailBody } from "../settings/setting-body.ts";
import { byWindow, parts, plan, settingOf } from "./settings.ts";

export const ifMatch = z.object({
  "if-match": z
    .string()
    .optional()
    .meta({ description: 'The revision that the change follows, such as "7"; absent or *: any.' }),
});

/** Why a change of a setting is refused. */
export function changeProblems(setting: string, value: z.ZodType, nobody: string = NO_BACKEND) {
  return {
    ...ODD_BODY,
    404: nobody,
    412: {
      why: "It was changed meanwhile, to this; nothing was changed.",
      more: settingOf(value).extend({ setting: z.literal(setting) }),
    },
    503: STORE_FAILED,
  } as const;
}

interface PutSetting {
  readonly name: "limits" | "thresholds" | "plan";
  readonly of: "backend" | "client" | "plan";
  readonly body: z.ZodType;
  readonly value: z.ZodType;
}

function setting({ name, of, body, value }: PutSetting) {
  const common = {
    header: ifMatch,
    answers: { 200: settingOf(value).extend({ name: z.string(), setting: z.literal(name) }) },
    problems: changeProblems(name, value, `No ${of} has this name.`),
    isRevised: true,
  };
  const words = `The ${name} of a ${of}`;
  const is = name === "plan" ? "is" : "are";
  return {
    PUT: { ...common, summary: `${words}, in place of what the file says.`, body: { schema: body, required: true } },
    DELETE: {
      ...common,
      summary: `${words} ${is} what the file says again.`,
      body: { schema: trailBody, required: false },
    },
  } satisfies Described;
}

const { backend, client, plan: ofPlan } = settingBodies;

export const limits = setting({ name: "limits", of: "backend", body: backend.limits, value: amounts });
export const thresholdsOfBackend = setting({
  name: "thresholds",
  of: "backend",
  body: backend.thresholds,
  value: parts,
});
export const limitsOfClient = setting({ name: "limits", of: "client", body: client.limits, value: byWindow });
export const planOfClient = setting({ name: "plan", of: "client", body: client.plan, value: plan });
export const limitsOfPlan = setting({ name: "limits", of: "plan", body: ofPlan.limits, value: byWindow });

const change = z
  .object({
    revision: count.nullable().meta({ description: "Null for grants." }),
    backend: z.string().optional(),
    client: z.string().optional(),
    plan: z.string().optional(),
    setting: z.enum(["limits", "thresholds", "drained", "plan", "grant"]),
    before: z.unknown(),
    after: z.unknown(),
    from: z.enum(["file", "api"]).meta({ description: "Where it comes from since; file: it was taken back." }),
    by: maybeText,
    reason: maybeText,
    at: instant,
  })
  .meta({ id: "Change", description: "Of a backend, a client or a plan: that one is named." });

export const changes = {
  GET: {
    summary: "Who changed what, the latest first.",
    query: z
      .object({
        backend: z.string().optional(),
        client: z.string().optional(),
        plan: z.string().optional(),
        limit: z.int().min(1).max(1_000).optional().meta({ default: 100 }),
        offset: count.optional().meta({ default: 0 }),
      })
      .meta({ description: "Of one backend, client or plan." }),
    answers: {
      200: z.object({
        total: count.meta({ description: "Of the latest 10,000 changes and all grants, those that are asked for." }),
        offset: count,
        unused: z
          .array(z.string())
          .meta({ description: "Backends that were changed, and are not in the file any more." }),
        unusedClients: z.array(z.string()),
        unusedPlans: z.array(z.string()),
        changes: z.array(change),
      }),
    },
    problems: {
      400: "The query is not what is taken here.",
      404: "Nothing that can be changed has this name.",
      503: STORE_FAILED,
    },
  },
} as const satisfies Described;
