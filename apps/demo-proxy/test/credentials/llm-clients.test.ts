import type { RequestListener } from "node:http";
import { text } from "node:stream/consumers";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import { send } from "../proxy/client.ts";
import { startUpstream } from "../proxy/node-upstream.ts";
import { startConfigured } from "../support/configured-app.ts";

const KEY = "clients-own-key-0123";
const PROVIDER = "sk-provider-0123456789";
const QUESTION = { role: "user", content: "hi" } as const;

/** Hides nothing of what it got, and takes the provider's key only. */
function provider(header: string, value: string, answer: object): RequestListener {
  return async (request, response) => {
    await text(request);
    const known = request.headers[header] === value;
    response.writeHead(known ? 200 : 401, { "content-type": "application/json" });
    response.end(JSON.stringify(known ? answer : { error: { message: `wrong key: ${request.headers[header]}` } }));
  };
}

const CLIENTS = `clients: [{ name: app, key: ${KEY} }]`;
const COMPLETION = {
  id: "1",
  object: "chat.completion",
  choices: [{ index: 0, message: { role: "assistant", content: "hello" } }],
};
const MESSAGE = { id: "1", type: "message", role: "assistant", content: [{ type: "text", text: "hello" }] };

async function start(backend: (port: number) => string, listener: RequestListener, clients = CLIENTS) {
  const upstream = await startUpstream(listener);
  const started = await startConfigured(
    `${clients}\nbackends: [{ name: llm, url: "http://127.0.0.1:${upstream.port}", ${backend(upstream.port)} }]`,
  );
  const sent = (): string =>
    upstream.requests.map(({ url, rawHeaders }) => `${url}\n${rawHeaders.join("\n")}`).join("\n");
  return { ...started, upstream, sent };
}

describe("a client of an API, with a key of the proxy's", () => {
  it("of OpenAI's is answered by the proxy's token", async () => {
    const { origin, sent, upstream } = await start(
      () => `auth: { kind: bearer, token: ${PROVIDER} }`,
      provider("authorization", `Bearer ${PROVIDER}`, COMPLETION),
    );
    const client = new OpenAI({ apiKey: KEY, organization: "org-of-the-client", baseURL: `${origin}/v1` });
    const { choices } = await client.chat.completions.create({ model: "small", messages: [QUESTION] });
    expect(choices[0]?.message.content).toBe("hello");
    expect(upstream.requests).toHaveLength(1);
    expect(sent()).not.toMatch(new RegExp(`${KEY}|org-of-the-client`));
  });

  it("of Anthropic's is answered by the proxy's key, which is in a header of its own", async () => {
    const { origin, sent, upstream } = await start(
      () => `headers: { set: { X-Api-Key: ${PROVIDER}, anthropic-beta: "of-the-proxy" }, remove: [X-Stainless-OS] }`,
      provider("x-api-key", PROVIDER, MESSAGE),
    );
    const client = new Anthropic({ apiKey: KEY, baseURL: origin, defaultHeaders: { cookie: "session=1" } });
    const { content } = await client.messages.create({ model: "small", max_tokens: 1, messages: [QUESTION] });
    expect(content).toEqual(MESSAGE.content);
    const [{ headers } = expect.unreachable("nothing came")] = upstream.requests;
    expect(headers).toMatchObject({ "x-api-key": PROVIDER, "anthropic-beta": "of-the-proxy" });
    for (const name of ["authorization", "cookie", "x-stainless-os"]) expect(headers).not.toHaveProperty(name);
    expect(sent()).not.toContain(KEY);
  });

  it.each([
    [
      "OpenAI's",
      (baseURL: string) => new OpenAI({ apiKey: "of-somebody-else-01", baseURL, maxRetries: 2 }).models.list(),
    ],
    [
      "Anthropic's",
      (baseURL: string) => new Anthropic({ apiKey: "of-somebody-else-01", baseURL, maxRetries: 2 }).models.list(),
    ],
  ])("that the proxy does not know is refused at once, in words: %s", async (_, call) => {
    const { origin, upstream } = await start(
      () => `auth: { kind: bearer, token: ${PROVIDER} }`,
      (_request, response) => response.end("{}"),
    );
    const failure = await call(origin).then(
      () => expect.unreachable("it passed"),
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ status: 401 });
    expect(String(failure)).toContain("This proxy wants a key of its own");
    expect(String(failure)).not.toContain("of-somebody-else");
    expect(upstream.requests).toEqual([]);
  });

  it("learns nothing of a token that the provider does not accept", async () => {
    const { origin, upstream } = await start(
      () => "auth: { kind: bearer, token: sk-a-token-of-yesterday }",
      provider("authorization", `Bearer ${PROVIDER}`, COMPLETION),
    );
    const failure = await new OpenAI({ apiKey: KEY, baseURL: origin, maxRetries: 2 }).models.list().then(
      () => expect.unreachable("it passed"),
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ status: 502 });
    expect(String(failure)).toContain("does not accept the credentials of this proxy");
    expect(String(failure)).not.toContain("sk-a-token");
    expect(upstream.requests).toHaveLength(1);
  });
});

describe("what a client sent for itself reaches no provider", () => {
  const OWN = {
    authorization: `Bearer ${KEY}`,
    cookie: "session=own-secret",
    "proxy-authorization": "Basic own-secret",
    "x-api-key": "own-secret",
    X_Api_Key: "own-secret",
    "Api-Key": "own-secret",
    "x-goog-api-key": "own-secret",
    "x-auth-token": "own-secret",
    "x-amz-security-token": "own-secret",
    "x-amz-date": "20260101T000000Z-own-secret",
    "x-some-access-token": "own-secret",
    "cf-access-client-secret": "own-secret",
    "private-token": "own-secret",
    "ocp-apim-subscription-key": "own-secret",
  };
  const KEPT = { "idempotency-key": "kept", "mcp-session-id": "kept", "anthropic-version": "kept", "x-custom": "kept" };
  const PATH = "/v1/x?api_key=own-secret&a=1&access_token=own-secret&X-Amz-Signature=own-secret&b=%2f&key-marker=k";

  it.each([
    ["a backend with a token", CLIENTS, `auth: { kind: bearer, token: ${PROVIDER} }`],
    ["a backend with a token, where anybody may use the proxy", "", `auth: { kind: bearer, token: ${PROVIDER} }`],
    ["a backend with a key in a header", "", `headers: { set: { api-key: ${PROVIDER} } }`],
    [
      "a backend of S3",
      "",
      `auth: { kind: s3, region: r, accessKeyId: id-of-the-proxy, secretAccessKey: ${PROVIDER} }`,
    ],
    ["a backend without credentials, where clients have keys", CLIENTS, "limits: {}"],
  ])("is dropped on the way to %s", async (_, clients, backend) => {
    const { proxy, sent, upstream } = await start(
      () => backend,
      (_request, response) => response.end(),
      clients,
    );
    const path = clients === "" ? PATH : PATH.replace("X-Amz-Signature=own-secret&", "");
    expect((await send(proxy.port, path, { headers: { ...OWN, ...KEPT } })).status).toBe(200);
    expect(sent()).not.toMatch(/own-secret/);
    expect(sent()).not.toContain(KEY);
    expect(upstream.requests[0]?.headers).toMatchObject(KEPT);
    expect(upstream.requests[0]?.url).toMatch(/^\/v1\/x\?a=1&b=%2f&key-marker=k|^\/v1\/x\?.*a=1&b=%2F&key-marker=k/i);
  });

  it("is not sent where the backend would send it back", async () => {
    const echo: RequestListener = ({ rawHeaders }, response) => response.end(rawHeaders.join("\n"));
    const { proxy } = await start(() => `auth: { kind: bearer, token: ${PROVIDER} }`, echo);
    const headers = { authorization: `Bearer ${KEY}` };
    expect((await send(proxy.port, "/x", { headers })).text).toContain(PROVIDER);
    const { text } = await send(proxy.port, "/x", { method: "TRACE", headers });
    expect(text).toContain("x-forwarded-for");
    expect(text).not.toContain(PROVIDER);
    expect(text).not.toContain(KEY);
  });

  it("unless neither clients nor the backend have credentials here: then all of it does", async () => {
    const { proxy, upstream } = await start(
      () => "headers: { set: { x-custom: ours }, remove: [x-gone] }",
      (_request, response) => response.end(),
      "",
    );
    await send(proxy.port, "/x?api_key=1", { headers: { authorization: "Bearer 1", cookie: "a=b", "x-gone": "1" } });
    expect(upstream.requests[0]?.url).toBe("/x?api_key=1");
    expect(upstream.requests[0]?.headers).toMatchObject({
      authorization: "Bearer 1",
      cookie: "a=b",
      "x-custom": "ours",
    });
    expect(upstream.requests[0]?.headers).not.toHaveProperty("x-gone");
  });
});
