import { z } from "zod";
import type { ClientLimits } from "../proxy-config.ts";
import { expected, named, section } from "./expected.ts";
import { limits } from "./limits.ts";

/** Limits of a client or a plan, by window. */
export const clientLimits: z.ZodType<ClientLimits> = section({
  month: limits.exactOptional(),
  week: limits.exactOptional(),
  day: limits.exactOptional(),
  hour: limits.exactOptional(),
  minute: limits.exactOptional(),
});

const PLAN_NAME = /^[\w.@-]{1,128}$/;
const aPlan = "expected a name of letters, digits and ._@-";

/** What clients are allowed, by the name of the plan. */
export const plans: z.ZodType<ReadonlyMap<string, ClientLimits>> = named(
  z
    .record(z.string(), clientLimits, expected("a map of plans, each with limits by window"))
    .superRefine((value, context) => {
      for (const name of Object.keys(value)) {
        if (!PLAN_NAME.test(name)) context.addIssue({ code: "custom", path: [name], message: aPlan });
      }
    })
    .transform((value) => new Map(Object.entries(value))),
);
