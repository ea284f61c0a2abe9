import { LocalCounterBackend, memoryStore } from "@usage/counter-core";
import { openUsage } from "@usage/tracker";
import { metered } from "@usage/tracker/express";
import type { Request, RequestHandler, Response } from "express";
import { rateLimit } from "express-rate-limit";
import { RateLimiterMemory } from "rate-limiter-flexible";

/** Never reached: what is measured is the request that passes. */
const LIMIT = 1_000_000_000;
const DAY_SECONDS = 86_400;

export type Subject = "nothing" | "counted" | "held" | "expressRateLimit" | "expressRateLimit8" | "flexible";

const keyOf = (req: Request): string => req.headers["x-api-key"] as string;

/** Each puts two headers on the answer, with what is left and what the limit is. */
export async function openSubjects(): Promise<Readonly<Record<Subject, RequestHandler>>> {
  const counter = new LocalCounterBackend();
  const usage = await openUsage({
    counter,
    store: memoryStore(),
    defaults: { apiRequests: LIMIT, egressBytes: LIMIT },
  });
  const one = await openUsage({
    counter: new LocalCounterBackend(),
    store: memoryStore(),
    defaults: { apiRequests: LIMIT },
  });
  return {
    nothing: (_req, _res, next) => next(),
    counted: metered(one, { key: keyOf }),
    held: metered(usage, { key: keyOf, responseBytes: "egressBytes" }),
    expressRateLimit: byExpressRateLimit("draft-7"),
    expressRateLimit8: byExpressRateLimit("draft-8"),
    flexible: byFlexible(),
  };
}

function byExpressRateLimit(standardHeaders: "draft-7" | "draft-8"): RequestHandler {
  const windowMs = DAY_SECONDS * 1_000;
  return rateLimit({
    windowMs,
    limit: LIMIT,
    standardHeaders,
    legacyHeaders: false,
    keyGenerator: keyOf,
    validate: false,
  });
}

/** As its documentation has it, with the headers of today. */
function byFlexible(): RequestHandler {
  const limiter = new RateLimiterMemory({ points: LIMIT, duration: DAY_SECONDS });
  return async (req: Request, res: Response, next) => {
    const { remainingPoints, msBeforeNext } = await limiter.consume(keyOf(req));
    res.setHeader("RateLimit", `"apiRequests";r=${remainingPoints};t=${Math.ceil(msBeforeNext / 1_000)}`);
    res.setHeader("RateLimit-Policy", `"apiRequests";q=${LIMIT};w=${DAY_SECONDS}`);
    next();
  };
}
