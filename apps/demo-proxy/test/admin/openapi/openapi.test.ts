import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { startApp, startUpstream, testConfig } from "../../support/app.ts";
import { call, type Reply } from "../../support/call.ts";
import { troubleOfAnswer } from "../../support/described.ts";

it("GET /api/openapi.json answers a valid OpenAPI 3.1 document of every path but the page's", async () => {
  const upstream = await startUpstream();
  const { admin } = await startApp(testConfig([{ name: "a", url: upstream.url, limits: {} }]));
  const { status, headers, text } = await call(admin, "/api/openapi.json");
  expect([status, headers["content-type"]]).toEqual([200, "application/json"]);
  const validator = new Validator();
  expect(await validator.validate(text)).toEqual({ valid: true });
  expect(validator.version).toBe("3.1");
});

describe("an answer that a test gets of the admin listener", () => {
  const json = { "content-type": "application/json" };
  const problem = { "content-type": "application/problem+json" };
  const reply = (status: number, headers: Reply["headers"], json: unknown): Reply => ({
    status,
    headers,
    json,
    text: "",
  });

  it("is as described", () => {
    expect(troubleOfAnswer("GET", "/healthz", reply(200, json, { status: "ok" }))).toBeUndefined();
    expect(troubleOfAnswer("POST", "/api/flush?", reply(200, json, { lastFlush: null }))).toBeUndefined();
    expect(troubleOfAnswer("POST", "/below/api/flush", reply(200, json, { lastFlush: null }))).toBeUndefined();
    const body = { type: "about:blank", title: "Not found", status: 404, detail: "There is nothing at this path." };
    expect(troubleOfAnswer("GET", "/nothing", reply(404, problem, body))).toBeUndefined();
  });

  it.each([
    ["a path that is not", "GET", "/api/nothing", reply(200, json, {})],
    ["a method that is not", "GET", "/api/flush", reply(200, json, { lastFlush: null })],
    ["a status that is not", "POST", "/api/flush", reply(201, json, { lastFlush: null })],
    ["a status that is not, elsewhere", "GET", "/nothing", reply(409, problem, {})],
    ["another type", "POST", "/api/flush", reply(200, problem, { lastFlush: null })],
    ["a field too many", "POST", "/api/flush", reply(200, json, { lastFlush: null, more: 1 })],
    ["a field too few", "POST", "/api/flush", reply(200, json, {})],
    ["a field of another kind", "POST", "/api/flush", reply(200, json, { lastFlush: "soon" })],
    ["a refusal in other words", "POST", "/api/flush", reply(503, problem, { error: "no" })],
    ["a refusal of another type", "GET", "/nothing", reply(404, json, {})],
  ])("is refused with %s", (_, method, path, reply) => {
    expect(troubleOfAnswer(method, path, reply)).toMatch(/described|refuses/);
  });
});
