import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { CorsOptions } from "../../src/proxy/answers/cors.ts";
import { launchBrowser } from "../support/browser.ts";
import { send } from "./client.ts";
import { refusingPort, startUpstream } from "./node-upstream.ts";
import { type RunningProxy, startProxy } from "./proxy-fixture.ts";

const APP = "https://app.example.com";
const LISTED: CorsOptions = { origins: [APP, "http://localhost:3000"] };

/** A proxy whose backend allows itself everything, and takes one request a month. */
async function startFull(cors?: CorsOptions): Promise<RunningProxy> {
  const upstream = await startUpstream((request, response) => {
    const allowed = { "access-control-allow-origin": "https://of-the-backend.example", vary: "Accept" };
    request.resume().on("end", () => response.writeHead(200, allowed).end("from the backend"));
  });
  return startProxy({ upstreams: { a: upstream.port }, limits: { a: { apiRequests: 1 } }, ...(cors && { cors }) });
}

function corsHeaders(headers: NodeJS.Dict<string | string[]>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.startsWith("access-control-") || name === "vary"),
  );
}

describe("an answer of the proxy's own", () => {
  it("may be read by the pages of a listed origin, with the headers that say when to come again", async () => {
    const proxy = await startFull(LISTED);
    await send(proxy.port, "/");
    const refused = await send(proxy.port, "/", { headers: { origin: APP } });
    expect(refused.status).toBe(429);
    const { "access-control-expose-headers": exposed, ...others } = corsHeaders(refused.headers);
    expect(others).toEqual({ "access-control-allow-origin": APP, vary: "Origin" });
    const names = String(exposed).toLowerCase().split(", ");
    expect(names).toEqual(expect.arrayContaining(["ratelimit", "ratelimit-policy"]));
    for (const name of names) expect(refused.headers[name]).toBeDefined();
  });

  it.each([
    ["another origin", "https://evil.example.com"],
    ["an origin that ends like a listed one", "https://not-app.example.com"],
    ["a listed host by another scheme", "http://app.example.com"],
    ["a listed host at another port", "https://app.example.com:8443"],
    ["an origin that is hidden", "null"],
    ["no origin", undefined],
  ])("says nothing to %s, but that it depends", async (_, origin) => {
    const proxy = await startFull(LISTED);
    await send(proxy.port, "/");
    const refused = await send(proxy.port, "/", { headers: origin === undefined ? {} : { origin } });
    expect([refused.status, corsHeaders(refused.headers)]).toEqual([429, { vary: "Origin" }]);
  });

  it("may be read by all pages, or with cookies, where that is configured", async () => {
    const open = await startFull({ origins: "*" });
    await send(open.port, "/");
    const anyone = await send(open.port, "/", { headers: { origin: "https://any.example" } });
    expect(corsHeaders(anyone.headers)).toMatchObject({ "access-control-allow-origin": "*" });
    expect(anyone.headers.vary).toBeUndefined();
    const close = await startFull({ ...LISTED, credentials: true });
    await send(close.port, "/");
    const known = await send(close.port, "/", { headers: { origin: APP } });
    expect(corsHeaders(known.headers)).toMatchObject({
      "access-control-allow-origin": APP,
      "access-control-allow-credentials": "true",
      vary: "Origin",
    });
  });

  it("has none of it where nothing is configured", async () => {
    const proxy = await startFull();
    await send(proxy.port, "/");
    const refused = await send(proxy.port, "/", { headers: { origin: APP } });
    expect([refused.status, corsHeaders(refused.headers)]).toEqual([429, {}]);
  });

  it("has it whatever the answer is", async () => {
    const proxy = await startProxy({ upstreams: { a: await refusingPort() }, cors: LISTED });
    const headers = { origin: APP };
    const answers = [
      await send(proxy.port, "/", { headers }),
      await send(proxy.port, "/", { headers }),
      await send(proxy.port, "/a/../b", { headers }),
      await send(proxy.port, "/", { headers: { ...headers, expect: "what" } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([502, 503, 400, 417]);
    for (const answer of answers) expect(answer.headers["access-control-allow-origin"]).toBe(APP);
  });
});

describe("an answer of the backend", () => {
  it("passes as it is", async () => {
    const proxy = await startFull(LISTED);
    const reply = await send(proxy.port, "/", { headers: { origin: APP } });
    expect([reply.text, corsHeaders(reply.headers)]).toEqual([
      "from the backend",
      { "access-control-allow-origin": "https://of-the-backend.example", vary: "Accept" },
    ]);
  });
});

describe("a preflight", () => {
  const preflight = (origin: string) => ({
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "PUT",
      "access-control-request-headers": "authorization,content-type",
    },
  });

  it("goes to the backend while there is one", async () => {
    const proxy = await startFull(LISTED);
    expect((await send(proxy.port, "/", preflight(APP))).text).toBe("from the backend");
    expect(proxy.usage("a").apiRequests).toBe(1);
  });

  it("lets the page send what will be refused, since it could not read why its preflight was", async () => {
    const proxy = await startFull(LISTED);
    await send(proxy.port, "/");
    const answer = await send(proxy.port, "/", preflight(APP));
    expect([answer.status, answer.text, answer.headers["content-length"]]).toEqual([204, "", undefined]);
    expect(corsHeaders(answer.headers)).toEqual({
      "access-control-allow-origin": APP,
      "access-control-allow-methods": "PUT",
      "access-control-allow-headers": "authorization,content-type",
      "access-control-max-age": "0",
      vary: "Origin",
    });
    expect(proxy.usage("a").apiRequests).toBe(1);
    expect([...proxy.server.ownAnswers]).toEqual([[204, 1]]);
  });

  it("is refused to other origins, and so is an OPTIONS request that is none", async () => {
    const proxy = await startFull(LISTED);
    await send(proxy.port, "/");
    expect((await send(proxy.port, "/", preflight("https://evil.example.com"))).status).toBe(429);
    expect((await send(proxy.port, "/", { method: "OPTIONS", headers: { origin: APP } })).status).toBe(429);
    const get = { ...preflight(APP), method: "GET" };
    expect((await send(proxy.port, "/", get)).status).toBe(429);
  });
});

describe("a page in a browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());

  /** What a page of `origin` learns of a request that needs a preflight. */
  async function ask(origin: string, url: string): Promise<unknown> {
    const page = await browser.newPage();
    onTestFinished(() => page.close());
    await page.goto(origin);
    return page.evaluate(async (to) => {
      try {
        const response = await fetch(to, { method: "PUT", headers: { "x-key": "k" }, body: "{}" });
        const { status, headers } = response;
        return { status, limit: headers.get("ratelimit"), body: await response.text() };
      } catch (error) {
        return String(error);
      }
    }, url);
  }

  it("of a listed origin reads why it was refused, of another one it does not", async () => {
    const site = await startUpstream((_request, response) =>
      response.writeHead(200, { "content-type": "text/html" }).end("<title>app</title>"),
    );
    const [listed, other] = [`http://127.0.0.1:${site.port}`, `http://localhost:${site.port}`];
    const proxy = await startFull({ origins: [listed] });
    await send(proxy.port, "/");
    expect(await ask(listed, proxy.origin)).toMatchObject({
      status: 429,
      limit: expect.stringContaining("apiRequests"),
      body: expect.stringContaining("No backend has room left"),
    });
    expect(await ask(other, proxy.origin)).toContain("Failed to fetch");
  });
});
