import { daysIn } from "@usage/counter-core";
import { z } from "zod";
import { nearMiss } from "../near-miss.ts";
import type { ClientLimits, PlanTerms } from "../proxy-config.ts";
import { expected, named, orText, section, shown, text } from "./expected.ts";
import { limits } from "./limits.ts";
import { thresholds } from "./webhooks.ts";

const byWindow = {
  month: limits.exactOptional(),
  week: limits.exactOptional(),
  day: limits.exactOptional(),
  hour: limits.exactOptional(),
  minute: limits.exactOptional(),
};

/** Limits of a client or a plan, by window. */
export const clientLimits: z.ZodType<ClientLimits> = section(byWindow);

const timeZone = text("an IANA time zone, such as Europe/Berlin", (value) => {
  try {
    daysIn(value);
  } catch {
    const guess = nearMiss(value, Intl.supportedValuesOf("timeZone"));
    const advice = guess === undefined ? "expected one of IANA's, such as Europe/Berlin" : `did you mean ${guess}?`;
    // fault: takes a time zone that there is not for UTC
    throw new RangeError(`${shown(value)} is no time zone; ${advice}`);
  }
  return value;
});

const aDay = expected("a day of the month from 1 to 31");

/** What is said besides limits: when months, weeks and days begin, and of which parts of limits somebody is told. */
export const terms = {
  timeZone: timeZone.exactOptional(),
  anchorDay: orText(z.number(aDay).int(aDay).min(1, aDay).max(31, aDay)).exactOptional(),
  thresholds: section({
    month: thresholds.exactOptional(),
    week: thresholds.exactOptional(),
    day: thresholds.exactOptional(),
  }).exactOptional(),
};

/** A plan as the file has it: its limits by window, and what it says besides. */
export type PlanSection = ClientLimits & PlanTerms;

const PLAN_NAME = /^[\w.@-]{1,128}$/;
const aPlan = "expected a name of letters, digits and ._@-";

/** What clients are allowed, by the name of the plan. */
export const plans: z.ZodType<ReadonlyMap<string, PlanSection>> = named(
  z
    .record(z.string(), section({ ...byWindow, ...terms }), expected("a map of plans, each with limits by window"))
    .superRefine((value, context) => {
      for (const name of Object.keys(value)) {
        if (!PLAN_NAME.test(name)) context.addIssue({ code: "custom", path: [name], message: aPlan });
      }
    })
    .transform((value) => new Map(Object.entries(value))),
);
