import * as forExpress from "@usage/tracker/express";
import * as forFastify from "@usage/tracker/fastify";
import * as forHono from "@usage/tracker/hono";
import { describe, expect, it } from "vitest";
import { tracked } from "../support/tracked.ts";

const key = (): string => "acme";
type Metered = (usage: unknown, options: unknown) => unknown;

describe.each<[string, Metered]>([
  ["Express", forExpress.metered as Metered],
  ["Fastify", forFastify.metered as Metered],
  ["Hono", forHono.metered as Metered],
])("options of the middleware for %s that are wrong", (_, metered) => {
  it.each<[unknown, string]>([
    [{}, "key must be a function, got undefined"],
    [{ key: "x-api-key" }, "key must be a function, got a value of type string"],
    [{ key, keyGenerator: key }, "metered has no option keyGenerator: it has key, "],
    [{ key, limit: 5 }, "metered has no option limit"],
    [{ key, cost: 5 }, "cost must be an object or a function, got a value of type number"],
    [{ key, cost: null }, "cost must be an object or a function, got null"],
    [{ key, cost: [1] }, "cost must be an object or a function, got an array"],
    [{ key, cost: Promise.resolve({ apiRequests: 1 }) }, "cost must be an object or a function, got a promise"],
    [{ key, cost: { apiReqests: 1 } }, "cost has no dimension apiReqests: the counter has apiRequests, egressBytes"],
    [{ key, cost: { apiRequests: -1 } }, "cost.apiRequests must be a whole number from 0 to 2^53-1, got -1"],
    [{ key, cost: { apiRequests: "1" } }, "cost.apiRequests must be a whole number from 0 to 2^53-1, got 1"],
    [{ key, plan: { apiRequests: 1 } }, "plan must be a function"],
    [{ key, settle: {} }, "settle must be a function"],
    [{ key, skip: true }, "skip must be a function, got a value of type boolean"],
    [{ key, onRefused: 429 }, "onRefused must be a function"],
    [{ key, onError: null }, "onError must be a function, got null"],
    [{ key, responseBytes: true }, "responseBytes must be a dimension of the counter (apiRequests, "],
    [{ key, responseBytes: "bytes" }, `ingressBytes), got "bytes"`],
    [{ key, waitMs: -1 }, "waitMs must be from 1 to 2^31-1 ms, got -1"],
    [{ key, ttlMs: 0 }, "ttlMs must be from 1 to 2^31-1 ms, got 0"],
    [undefined, "metered takes options after the tracker"],
    [key, "metered takes options after the tracker"],
  ])("%o: an error names it", (options, message) => {
    expect(() => metered(tracked().tracker, options)).toThrow(message);
  });

  it("says that it takes a tracker first", () => {
    expect(() => metered({ key }, undefined)).toThrow("metered takes a tracker first");
    expect(() => metered(undefined, { key })).toThrow("metered takes a tracker first");
  });

  it("takes 0 and absent for what they are", () => {
    const { tracker } = tracked();
    expect(() => metered(tracker, { key, waitMs: 0, cost: { apiRequests: 0, egressBytes: undefined } })).not.toThrow();
  });
});
