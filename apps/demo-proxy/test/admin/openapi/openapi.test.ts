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

it("every path of the API refuses what it does not know in a query, and names what it knows, which is what is described", async () => {
  const { admin } = await startApp(testConfig([{ name: "a", url: new URL("http://127.0.0.1:9"), limits: {} }]));
  const { paths } = (await call(admin, "/api/openapi.json")).json as {
    paths: Record<string, Record<string, { parameters?: { in: string; name: string }[] }>>;
  };
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, { parameters = [] }] of Object.entries(operations)) {
      const known = parameters.filter((parameter) => parameter.in === "query").map(({ name }) => name);
      const target = `${path.replace("{name}", "a")}?x=1`;
      const { status, json } = await call(admin, target, { method: method.toUpperCase() });
      if (!path.startsWith("/api/")) expect([target, status]).toEqual([target, 200]);
      else {
        const { detail } = json as { detail: string };
        expect([target, status]).toEqual([target, 400]);
        const [, named = ""] = /^"x" is unknown; known are (.*)\.$/.exec(detail) ?? [];
        expect([target, named.split(", ").filter(Boolean).toSorted()]).toEqual([target, known.toSorted()]);
      }
    }
  }
});

it("what is asked of a backend that never was is 404, of a month to come 400, and of a month that is over is empty", async () => {
  const { admin, app } = await startApp(testConfig([{ name: "a", url: new URL("http://127.0.0.1:9"), limits: {} }]));
  await app.store.merge([{ writer: "import", period: "2020-01", backend: "gone", usage: { apiRequests: 5 } }]);
  const statusOf = async (target: string) => (await call(admin, `/api/${target}`)).status;
  for (const list of ["history", "history?by=day", "history?by=hour", "grants", "changes"]) {
    const and = list.includes("?") ? "&" : "?";
    const asked = ["nobody", "gone", "a"].map((name) => statusOf(`${list}${and}backend=${name}`));
    expect([list, ...(await Promise.all(asked))]).toEqual([list, 404, 200, 200]);
  }
  const unknown = ["changes?client=nobody", "changes?plan=nobody", "clients/audit?client=nobody"];
  for (const target of unknown) expect([target, await statusOf(target)]).toEqual([target, 404]);
  const future = [
    "history?from=9999-12",
    "history?by=day&of=9999-12",
    "history?by=hour&of=9999-12-01",
    "grants?period=9999-12",
  ];
  for (const target of future) expect([target, await statusOf(target)]).toEqual([target, 400]);
  const none = ["history?from=2020-13", "history?to=2020-02-30", "history?by=day&of=2020-00", "grants?period=0000-00"];
  for (const target of none) expect([target, await statusOf(target)]).toEqual([target, 400]);
  const over = [
    "history?to=2019-12",
    "history?to=9999-12",
    "history?by=day&of=2020-02",
    "history?by=hour&of=2020-02-29",
    "grants?period=2020-02",
  ];
  for (const target of over) expect([target, await statusOf(target)]).toEqual([target, 200]);
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
