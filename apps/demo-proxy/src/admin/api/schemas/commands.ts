import { z } from "zod";
import { amounts, count, type Described, maybeInstant, NO_BACKEND, STORE_FAILED } from "../../openapi/operation.ts";
import { trailBody } from "../settings/setting-body.ts";
import { changeProblems, ifMatch } from "./changes.ts";
import { settingOf } from "./settings.ts";

export const flush = {
  POST: {
    summary: "Stores now what is counted of backends and clients.",
    answers: { 200: z.object({ lastFlush: maybeInstant }) },
    problems: { 503: STORE_FAILED },
  },
} as const satisfies Described;

const draining = z.object({ name: z.string(), draining: z.boolean(), inFlight: count });
const problems = changeProblems("drained", z.boolean());
const common = {
  header: ifMatch,
  body: { schema: trailBody, required: false },
  answers: {
    200: draining.extend({ setting: z.literal("drained").optional(), ...settingOf(z.boolean()).partial().shape }),
  },
  isRevised: true,
};

export const drain = {
  POST: { ...common, summary: "The backend gets no new requests; running ones end.", problems },
} satisfies Described;

export const resume = {
  POST: {
    ...common,
    summary: "The backend gets requests again.",
    problems: { ...problems, 409: "The backend is not in the configuration any more." },
  },
} satisfies Described;

export const release = {
  POST: {
    summary: "Gives to others what instances that died keep from them of the limits.",
    answers: {
      200: z.object({ name: z.string(), forgiven: z.array(z.object({ writer: z.string(), usage: amounts })) }),
    },
    problems: { 404: NO_BACKEND, 409: "The counter is local.", 503: "Redis failed." },
  },
} as const satisfies Described;
