import { metered } from "@usage/tracker/hono";
import { Hono } from "hono";
import { expect, it } from "vitest";
import { tracked } from "../support/tracked.ts";

it("sees what other middleware found out before it", async () => {
  const { tracker } = tracked({ limits: { oci: { apiRequests: 1 } } });
  const app = new Hono<{ Variables: { tenant: string } }>();
  app.use(async (c, next) => {
    c.set("tenant", "oci");
    await next();
  });
  app.use(metered(tracker, { key: (c) => c.get("tenant") }));
  app.get("/", (c) => c.text("hello"));
  expect((await app.request("/")).status).toBe(200);
  expect((await app.request("/")).status).toBe(429);
});

it("puts its headers also on a response that nobody may change, and keeps those that it has", async () => {
  const { tracker } = tracked({ limits: { oci: { apiRequests: 10 } } });
  const app = new Hono().use(metered(tracker, { key: () => "oci", responseBytes: "egressBytes" }));
  app.get("/", () => fetch("data:text/plain,hello"));
  app.get("/cookies", () => {
    const headers = new Headers([
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ]);
    return new Response("hello", { status: 201, headers });
  });
  const passed = await app.request("/");
  expect(passed.headers.get("ratelimit")).toContain(`"apiRequests";r=9;`);
  expect(await passed.text()).toBe("hello");
  const cookies = await app.request("/cookies");
  expect([cookies.status, cookies.headers.getSetCookie()]).toEqual([201, ["a=1", "b=2"]]);
  expect(cookies.headers.get("ratelimit")).toContain(`"apiRequests";r=8;`);
  await cookies.text();
  await expect.poll(() => tracker.counter.totalAll("oci")).toMatchObject({ apiRequests: 2, egressBytes: 10 });
});

it("ends where a handler throws what is no error, and for what no route answers", async () => {
  const { tracker } = tracked({ limits: { oci: { apiRequests: 10 } } });
  const app = new Hono().use(metered(tracker, { key: () => "oci", responseBytes: "egressBytes" }));
  app.get("/throws", () => {
    throw "no error";
  });
  await expect(app.request("/throws")).rejects.toBe("no error");
  expect(tracker.counter.totalAll("oci").apiRequests).toBe(1);
  const nothing = await app.request("/nothing");
  expect([nothing.status, nothing.headers.get("ratelimit")]).toEqual([404, expect.stringContaining("r=8;")]);
});
