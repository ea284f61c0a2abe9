import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { metered } from "@usage/tracker/express";
import express from "express";
import { expect, it, onTestFinished } from "vitest";
import { tracked } from "../support/tracked.ts";

async function serve(app: express.Express): Promise<string> {
  const server = createServer(app).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it("counts the bytes of texts in the encoding in which they go out, whichever way they are written", async () => {
  const { tracker } = tracked();
  const app = express().use(metered(tracker, { key: () => "oci", responseBytes: "egressBytes" }));
  app.get("/", (_req, res) => {
    res.write("größe", "latin1"); // 5
    res.write(Buffer.from("größe").toString("base64"), "base64"); // 7
    res.write("größe", () => res.end("größe")); // 7 and 7
  });
  const answer = await fetch(await serve(app));
  const { byteLength } = await answer.arrayBuffer();
  expect(byteLength).toBe(26);
  await expect.poll(() => tracker.counter.totalAll("oci")).toMatchObject({ apiRequests: 1, egressBytes: 26 });
});

it("counts no bytes that Node drops", async () => {
  const { tracker } = tracked();
  const app = express().use(metered(tracker, { key: () => "oci", responseBytes: "egressBytes" }));
  app.use((req, res) => void res.status(req.path === "/304" ? 304 : req.path === "/204" ? 204 : 200).end("dropped"));
  const url = await serve(app);
  for (const path of ["/204", "/304"]) await fetch(url + path);
  await fetch(url, { method: "HEAD" });
  await expect.poll(() => tracker.counter.heldAll("oci").apiRequests).toBe(0);
  expect(tracker.counter.totalAll("oci")).toMatchObject({ apiRequests: 3, egressBytes: 0 });
});

it("sees what other middleware found out before it, and may stand before some routes only", async () => {
  const { tracker } = tracked({ limits: { oci: { apiRequests: 1 } } });
  const app = express();
  app.get("/healthz", (_req, res) => void res.send("ok"));
  app.use((_req, res, next) => {
    res.locals.tenant = "oci";
    next();
  });
  app.use("/api", metered(tracker, { key: (_req, res) => res.locals.tenant }));
  app.get("/api/things", (_req, res) => void res.json([]));
  const url = await serve(app);
  const statusOf = async (path: string) => (await fetch(url + path)).status;
  expect(await statusOf("/healthz")).toBe(200);
  expect(await statusOf("/api/things")).toBe(200);
  expect(await statusOf("/api/things")).toBe(429);
  expect(await statusOf("/healthz")).toBe(200);
});

it("keeps its headers on the answer of Express's own error handler, and on what no route answers", async () => {
  const { tracker } = tracked({ limits: { oci: { apiRequests: 10 } } });
  const app = express().use(metered(tracker, { key: () => "oci" }));
  app.set("env", "test"); // it prints no stack
  app.get("/throws", () => {
    throw new Error("the handler has failed");
  });
  const url = await serve(app);
  for (const [path, status, left] of [
    ["/throws", 500, 9],
    ["/nothing", 404, 8],
  ] as const) {
    const answer = await fetch(url + path);
    expect(answer.status).toBe(status);
    expect(answer.headers.get("ratelimit")).toContain(`"apiRequests";r=${left};`);
  }
});
