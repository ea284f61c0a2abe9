import { metered } from "@usage/tracker/hono";
import { toHeaders } from "@usage/tracker/http";
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { tracked } from "../support/tracked.ts";

const MOST = Number.MAX_SAFE_INTEGER;

describe("the headers of a request that passes", () => {
  it.each([
    {},
    { apiRequests: 10 },
    { egressBytes: 2_048, apiRequests: 10 },
    { ingressBytes: 0 },
    { apiRequests: MOST - 1, egressBytes: 999_999_999_999_999 },
  ])("are those of a decision about nothing: limits %o", async (limits) => {
    const { tracker, clock } = tracked({ limits: { oci: limits } });
    // Headers count from the time of the machine.
    clock.set(new Date(Date.now() - 1_000).toISOString());
    clock.advance(1_000);
    const app = new Hono().use(metered(tracker, { key: () => "oci", cost: { apiRequests: 2 } }));
    app.get("/", (c) => c.text("hello"));
    tracker.record("oci", { apiRequests: 1, egressBytes: 3 });
    tracker.tryReserve("oci", { apiRequests: 4, egressBytes: 5 });
    const { headers } = await app.request("/");
    const expected = toHeaders(tracker.check("oci", {}));
    const withoutSeconds = (text: string | null | undefined) => text?.replaceAll(/t=\d+/g, "t=");
    expect(withoutSeconds(headers.get("ratelimit") ?? undefined)).toBe(withoutSeconds(expected.RateLimit));
    expect(headers.get("ratelimit-policy") ?? undefined).toBe(expected["RateLimit-Policy"]);
    const secondsOf = (text: string | undefined) => Number(/t=(\d+)/.exec(text ?? "t=0")?.[1]);
    const apart = secondsOf(headers.get("ratelimit") ?? undefined) - secondsOf(expected.RateLimit);
    expect(Math.abs(apart)).toBeLessThanOrEqual(5);
  });
});
