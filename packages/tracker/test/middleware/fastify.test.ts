import { once } from "node:events";
import { connect } from "node:http2";
import { metered } from "@usage/tracker/fastify";
import { fastify } from "fastify";
import { expect, it, onTestFinished } from "vitest";
import { tracked } from "../support/tracked.ts";

it("may be the hook of one route, and works without a network", async () => {
  const { tracker } = tracked({ limits: { oci: { apiRequests: 1 } } });
  const app = fastify();
  const onRequest = metered(tracker, {
    key: ({ headers }) => headers["x-api-key"] as string,
    responseBytes: "egressBytes",
  });
  app.get("/things", { onRequest }, async () => "things");
  app.get("/healthz", async () => "ok");
  const headers = { "x-api-key": "oci" };
  expect((await app.inject({ url: "/healthz" })).statusCode).toBe(200);
  const passed = await app.inject({ url: "/things", headers });
  expect([passed.statusCode, passed.headers.ratelimit]).toEqual([200, expect.stringContaining("r=0")]);
  await expect.poll(() => tracker.counter.totalAll("oci")).toMatchObject({ apiRequests: 1, egressBytes: 6 });
  const refused = await app.inject({ url: "/things", headers });
  expect([refused.statusCode, refused.json()]).toMatchObject([429, { "violated-policies": ["apiRequests"] }]);
});

it("keeps its headers on Fastify's own answers to errors, and to what no route answers", async () => {
  const { tracker } = tracked({ limits: { oci: { apiRequests: 10 } } });
  const app = fastify();
  app.addHook("onRequest", metered(tracker, { key: () => "oci" }));
  app.get("/throws", async () => {
    throw new Error("the handler has failed");
  });
  for (const [url, status, left] of [
    ["/throws", 500, 9],
    ["/nothing", 404, 8],
  ] as const) {
    const answer = await app.inject({ url });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers.ratelimit).toContain(`"apiRequests";r=${left};`);
  }
});

it("counts over HTTP/2, also for a client that leaves", async () => {
  const { tracker } = tracked();
  const app = fastify({ http2: true, forceCloseConnections: true });
  app.addHook("onRequest", metered(tracker, { key: () => "oci", responseBytes: "egressBytes" }));
  app.get("/", async () => "hello");
  app.get("/silent", (_request, reply) => {
    reply.hijack();
    reply.raw.write("hello");
  });
  const session = connect(await app.listen({ port: 0, host: "127.0.0.1" }));
  onTestFinished(async () => {
    session.destroy();
    await app.close();
  });
  const whole = session.request({ ":path": "/" });
  expect((await whole.toArray()).join("")).toBe("hello");
  await expect.poll(() => tracker.counter.totalAll("oci")).toMatchObject({ apiRequests: 1, egressBytes: 5 });
  const left = session.request({ ":path": "/silent" });
  await once(left, "data");
  left.close();
  await expect.poll(() => tracker.counter.totalAll("oci")).toMatchObject({ apiRequests: 2, egressBytes: 10 });
});
