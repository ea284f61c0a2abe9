import { createHash } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import {
  type Answer,
  chatChunk,
  eventText,
  sendEvents,
  sendJson,
  startFakeProvider,
} from "../../../../examples/test/support/fake-provider.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { DEFAULT_TIMEOUTS, type Timeouts } from "../../src/proxy/http/timeouts.ts";
import { EventReader, JsonReader } from "../../src/tokens/answer-reader.ts";
import { estimateOf, HEAD_BYTES } from "../../src/tokens/estimate.ts";
import { questionKind } from "../../src/tokens/token-protocol.ts";
import { startApp, testConfig } from "../support/app.ts";
import { call } from "../support/call.ts";

const ASKED = { model: "small", messages: [{ role: "user" as const, content: "hi" }] };

interface Given {
  readonly answers?: Readonly<Record<string, Answer>>;
  readonly limits?: Record<string, number>;
  readonly timeouts?: Timeouts;
}

/** A proxy before an account of OpenAI and one of Anthropic, which one provider is. */
async function startGateway({ answers = {}, limits = {}, timeouts = DEFAULT_TIMEOUTS }: Given = {}) {
  const provider = await startFakeProvider(answers);
  const url = new URL(provider.url);
  const config = testConfig(
    [
      { name: "openai", url, limits, tokens: "openai" },
      { name: "anthropic", url, limits, tokens: "anthropic" },
    ],
    { timeouts, routes: [{ match: { path: ["/v1/messages"] }, backends: ["anthropic"] }, { backends: ["openai"] }] },
  );
  const { app, proxy, admin } = await startApp(config);
  const origin = `http://127.0.0.1:${proxy.port}`;
  const amounts = (of: object): readonly number[] => {
    const { inputTokens = -1, outputTokens = -1 } = of as Record<string, number>;
    return [inputTokens, outputTokens];
  };
  const { counter } = app.tracker;
  return {
    provider,
    proxy,
    admin,
    app,
    openai: new OpenAI({ baseURL: `${origin}/v1`, apiKey: "key", maxRetries: 0 }),
    anthropic: new Anthropic({ baseURL: origin, apiKey: "key", maxRetries: 0 }),
    /** Input and output tokens, once nothing runs. */
    used: async (name: string) => {
      await expect.poll(() => app.inFlight()).toBe(0);
      expect(amounts(counter.heldAll(name))).toEqual([0, 0]);
      return amounts(counter.totalAll(name));
    },
    held: (name: string) => amounts(counter.heldAll(name)),
    excess: (name: string) => amounts(counter.excessAll(name)),
    estimated: () => app.router.upstreams.reduce((sum, { traffic }) => sum + traffic.estimated, 0),
  };
}

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const events: T[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

describe("tokens of an account of OpenAI, by its own client", () => {
  it("are what answers say, whole or streamed, of chats, responses and embeddings", async () => {
    const { openai, used, estimated, provider } = await startGateway();
    const whole = await openai.chat.completions.create(ASKED);
    expect(whole.choices[0]?.message.content).toBe("hello world");
    expect(await used("openai")).toEqual([7, 21]);
    const chunks = await all(
      await openai.chat.completions.create({ ...ASKED, stream: true, stream_options: { include_usage: true } }),
    );
    expect(chunks).toHaveLength(3);
    expect(await used("openai")).toEqual([14, 42]);
    await openai.responses.create({ model: "small", input: "hi" });
    await all(await openai.responses.create({ model: "small", input: "hi", stream: true }));
    expect(await used("openai")).toEqual([30, 86]);
    await openai.embeddings.create({ model: "small", input: "hi", encoding_format: "float" });
    expect(await used("openai")).toEqual([39, 86]);
    expect(estimated()).toBe(0);
    expect(provider.questions.map(({ headers }) => headers["accept-encoding"])).toEqual(Array(5).fill("identity"));
  });

  it("are estimated by what was written where a stream is not asked for them, and it passes as it is", async () => {
    const { openai, used, provider, estimated, admin } = await startGateway();
    const chunks = await all(await openai.chat.completions.create({ ...ASKED, stream: true }));
    expect(chunks.map(({ choices }) => choices[0]?.delta.content)).toEqual(["hello", " world"]);
    expect(provider.questions[0]?.body).toEqual({ ...ASKED, stream: true });
    const sent = JSON.stringify({ ...ASKED, stream: true }).length;
    expect(await used("openai")).toEqual([Math.ceil(sent / 4), Math.ceil("hello world".length / 4)]);
    expect(estimated()).toBe(1);
    const metrics = (await call(admin, "/metrics")).text;
    expect(metrics).toContain('usage_backend_estimated_answers_total{backend="openai"} 1\n');
    expect(metrics).toContain('usage_output_tokens{backend="openai"} 3\n');
  });

  it("are held as estimated while the answer is on its way, and what is used beyond that is excess", async () => {
    const waiting = Promise.withResolvers<ServerResponse>();
    const { openai, used, held, excess } = await startGateway({
      answers: { "/v1/chat/completions": (_question, response) => waiting.resolve(response) },
    });
    const question = { ...ASKED, max_completion_tokens: 100, n: 2 };
    const running = openai.chat.completions.create(question);
    const response = await waiting.promise;
    const input = Math.ceil(JSON.stringify(question).length / 4);
    expect(held("openai")).toEqual([input, 200]);
    sendJson(response, { choices: [], usage: { prompt_tokens: 5, completion_tokens: 250 } });
    await running;
    expect(await used("openai")).toEqual([5, 250]);
    expect(excess("openai")).toEqual([0, 50]);
  });

  it("refuse a question that they have no room for before it is asked, and let pass what costs none", async () => {
    const { openai, used, provider } = await startGateway({ limits: { outputTokens: 100 } });
    const failure = await openai.chat.completions
      .create({ ...ASKED, max_tokens: 101 })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OpenAI.RateLimitError);
    expect(String(failure)).toContain("outputTokens");
    // Nobody knows how long that may be.
    await expect(openai.chat.completions.create(ASKED)).rejects.toThrow("outputTokens");
    expect(provider.questions).toHaveLength(0);
    await openai.chat.completions.create({ ...ASKED, max_tokens: 100 });
    await openai.embeddings.create({ model: "small", input: "hi" });
    expect((await openai.models.list()).data).toHaveLength(1);
    expect(await used("openai")).toEqual([16, 21]);
  });

  it.each([
    [
      "a refusal",
      (response: ServerResponse) => sendJson(response, { error: {}, usage: { prompt_tokens: 9 } }, 400),
      [0, 0],
    ],
    ["an answer of no JSON", (response: ServerResponse) => response.end("what?"), [15, 50]],
    [
      "an answer without usage",
      (response: ServerResponse) => sendJson(response, { choices: [{ message: { content: "12345" } }] }),
      [15, 2],
    ],
    [
      "usage that is none",
      (response: ServerResponse) => sendJson(response, { usage: { prompt_tokens: -1, completion_tokens: "9" } }),
      [15, 50],
    ],
    ["no answer", (response: ServerResponse) => response.destroy(), [15, 50]],
    [
      "an answer that is compressed all the same",
      (response: ServerResponse) => {
        response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
        response.end(gzipSync('{"usage":{"prompt_tokens":1,"completion_tokens":1}}'));
      },
      [15, 50],
    ],
    [
      "a stream that breaks off",
      (response: ServerResponse) => {
        sendEvents(response, [chatChunk("12345678")]);
        setImmediate(() => response.destroy());
      },
      [15, 2],
    ],
  ] as const)("of %s are what is known of it", async (_, answer, tokens) => {
    const { used, proxy, estimated } = await startGateway({
      answers: { "/v1/chat/completions": (_question, response) => void answer(response) },
    });
    const body = '{"max_tokens":50,"messages":[{"role":"user","content":"x"}]}';
    const url = `http://127.0.0.1:${proxy.port}/v1/chat/completions`;
    await fetch(url, { method: "POST", body })
      .then((response) => response.text())
      .catch(() => undefined);
    expect(await used("openai")).toEqual(tokens);
    expect(estimated()).toBe(tokens[0] === 0 ? 0 : 1);
  });

  it("of a long question are held by its length and by what its beginning says, and it passes as it is", async () => {
    const waiting = Promise.withResolvers<ServerResponse>();
    const { used, held, proxy, provider } = await startGateway({
      answers: { "/v1/chat/completions": (_question, response) => waiting.resolve(response) },
    });
    const content = "é".repeat(300_000);
    const body = JSON.stringify({ max_tokens: 77, messages: [{ role: "user", content }] });
    const running = call(proxy, "/v1/chat/completions", { method: "POST", body });
    const response = await waiting.promise;
    expect(held("openai")).toEqual([Math.ceil(Buffer.byteLength(body) / 4), 77]);
    sendJson(response, { usage: { prompt_tokens: 1, completion_tokens: 2 } });
    expect((await running).status).toBe(200);
    expect(await used("openai")).toEqual([1, 2]);
    const hash = (text: string) => createHash("sha256").update(text).digest("hex");
    expect(hash(JSON.stringify(provider.questions[0]?.body))).toBe(hash(body));
  });

  it("are known of a question however its path is written", async () => {
    const { used, proxy } = await startGateway({
      answers: {
        "/v1/chat/%63ompletions": (_question, response) =>
          sendJson(response, { usage: { prompt_tokens: 1, completion_tokens: 2 } }),
      },
    });
    await call(proxy, "/v1/chat/%63ompletions", { method: "POST", body: "{}" });
    expect(await used("openai")).toEqual([1, 2]);
  });

  it("are counted for a client that waits to be told to go on with its question", async () => {
    const { proxy, used, provider } = await startGateway();
    const reply = await call(proxy, "/v1/chat/completions", {
      method: "POST",
      headers: { expect: "100-continue", "content-type": "application/json" },
      body: JSON.stringify(ASKED),
    });
    expect(reply.status).toBe(200);
    expect(provider.questions).toHaveLength(1);
    expect(await used("openai")).toEqual([7, 21]);
  });
});

it("a client that does not go on with its question is told so, and holds nothing", async () => {
  const { proxy, app, provider, held } = await startGateway({ timeouts: { ...DEFAULT_TIMEOUTS, idleMs: 400 } });
  const socket = connect(proxy.port, proxy.host);
  socket.write("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{");
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(String(answer)).toMatch(/^HTTP\/1\.1 408 /);
  socket.destroy();
  const gone = connect(proxy.port, proxy.host);
  gone.write("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{");
  await expect.poll(() => app.inFlight()).toBe(1);
  gone.destroy();
  await expect.poll(() => app.inFlight()).toBe(0);
  expect(held("openai")).toEqual([0, 0]);
  expect(provider.questions).toHaveLength(0);
});

describe("tokens of an account of Anthropic, by its own client", () => {
  it("are what messages say, whole or streamed, with what its cache read and wrote", async () => {
    const { anthropic, used, estimated } = await startGateway();
    const message = await anthropic.messages.create({ ...ASKED, max_tokens: 100 });
    expect(message.content).toMatchObject([{ text: "hello" }]);
    expect(await used("anthropic")).toEqual([10, 23]);
    const events = await all(anthropic.messages.stream({ ...ASKED, max_tokens: 100 }));
    expect(events).toHaveLength(6);
    expect(await used("anthropic")).toEqual([20, 46]);
    expect(await used("openai")).toEqual([0, 0]);
    expect(estimated()).toBe(0);
  });

  it("are what was told and written until a client left", async () => {
    const started = {
      type: "message_start",
      message: { role: "assistant", usage: { input_tokens: 5, output_tokens: 1 } },
    };
    const delta = { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "12345678" } };
    const { anthropic, used } = await startGateway({
      answers: { "/v1/messages": (_question, response) => void sendEvents(response, [started, delta]) },
    });
    const controller = new AbortController();
    const stream = await anthropic.messages.create(
      { ...ASKED, max_tokens: 100, stream: true },
      { signal: controller.signal },
    );
    for await (const event of stream) if (event.type === "content_block_delta") break;
    controller.abort();
    expect(await used("anthropic")).toEqual([5, 2]);
  });
});

describe("an answer of a model", () => {
  const chat = questionKind("openai", "POST", "/v1/chat/completions") ?? expect.unreachable();
  const last = { choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } };

  it("is read from its events wherever they are split", () => {
    const bytes = Buffer.from(`: ping\r\n\r\n${eventText(chatChunk("häé"))}${eventText(last)}data: [DONE]\n\n`);
    for (let at = 0; at <= bytes.length; at++) {
      const reader = new EventReader(chat);
      reader.push(bytes.subarray(0, at));
      reader.push(bytes.subarray(at));
      expect(reader.end()).toEqual({ inputTokens: 3, outputTokens: 4, written: 3 });
    }
  });

  it("is read from the end of a long one, whatever its texts say, and no more than that is kept", () => {
    const reader = new JsonReader(chat);
    reader.push(Buffer.from('{"choices":[{"message":{"content":"'));
    for (let piece = 0; piece < 100; piece++) reader.push(Buffer.alloc(65_536, "x"));
    const text = '\\"usage\\":{\\"prompt_tokens\\":99}"}}],';
    reader.push(Buffer.from(`${text}"usage":{"prompt_tokens":3,"details":{"cached":1},"completion_tokens":4}}`));
    expect(reader.end()).toEqual({ inputTokens: 3, outputTokens: 4, written: 0 });
  });

  it("survives an event without an end", () => {
    const reader = new EventReader(chat);
    for (let piece = 0; piece < 40; piece++) reader.push(Buffer.alloc(65_536, "x"));
    reader.push(Buffer.from(`\n${eventText(last)}`));
    expect(reader.end()).toMatchObject({ inputTokens: 3, outputTokens: 4 });
  });
});

describe("an estimate", () => {
  const chat = questionKind("openai", "POST", "/chat/completions") ?? expect.unreachable();
  const outputOf = (text: string, isWhole = true): number =>
    estimateOf(chat, Buffer.from(text), isWhole, HEAD_BYTES).outputTokens;

  it.each([
    ['{"max_tokens":5}', 5],
    ['{"max_tokens":5,"max_completion_tokens":7,"n":3}', 21],
    ['{"max_tokens":-1}', 4_096],
    ['{"max_tokens":1e300}', 4_096],
    ['{"tools":[{"max_tokens":9}]}', 4_096],
    ["{", 4_096],
    ["[]", 4_096],
  ])("of %s is for %d tokens", (text, tokens) => {
    expect(outputOf(text)).toBe(tokens);
  });

  it("of a question of which only the beginning has come is by what stands there, in no text", () => {
    expect(outputOf('{"max_completion_tokens" : 12, "messages": [{"content":"\\"max_tokens\\": 99', false)).toBe(12);
    expect(outputOf('{"messages": [{"content":"', false)).toBe(4_096);
  });
});

it("a configuration whose tokens are told in no known way is refused", () => {
  const text = "backends: [{ name: a, url: http://a, tokens: opnai, limits: { inputTokens: 1 } }]";
  expect(() => parseConfig(text, { file: "p.yaml", folder: "/" })).toThrow(
    "backends[0].tokens: expected openai or anthropic",
  );
});

it("a limit of tokens of what counts none is refused, whatever others count", () => {
  const refusal = "inputTokens: is counted only of a backend that has tokens; set tokens to openai or anthropic there";
  const asking = "{ name: b, url: http://b, tokens: openai }";
  const limited = "{ name: a, url: http://a, limits: { inputTokens: 1 } }";
  const plan = "plans: { free: { day: { inputTokens: 1 } } }";
  const parse = (text: string) => () => parseConfig(text, { file: "p.yaml", folder: "/" });
  expect(parse(`backends: [${limited}]`)).toThrow(`p.yaml:1:61 backends[0].limits.${refusal}`);
  expect(parse(`backends: [${asking}, ${limited}]`)).toThrow(`backends[1].limits.${refusal}`);
  expect(parse(`${plan}\nbackends: [{ name: a, url: http://a }]`)).toThrow(`plans.free.day.${refusal}`);
  expect(parse(`${plan}\nbackends: [{ name: a, url: http://a }, ${asking}]`)).not.toThrow();
});

it("neither a limit nor a grant of tokens is taken by API for a backend that counts none", async () => {
  const [url, limits] = [new URL("http://127.0.0.1:9"), {}];
  const backends = [
    { name: "plain", url, limits },
    { name: "asking", url, limits, tokens: "openai" as const },
  ];
  const config = testConfig(backends);
  const { app, admin } = await startApp(config);
  const send = async (method: string, path: string, body: object) => {
    const answer = await call(admin, `/api/backends/${path}`, { method, body: JSON.stringify(body) });
    return [answer.status, (answer.json as { detail?: string }).detail] as const;
  };
  const grant = { id: "1", reason: "a test", amounts: { outputTokens: 1 } };
  for (const [method, path, body, field] of [
    ["PUT", "limits", { limits: { inputTokens: 5 } }, "limits.inputTokens"],
    ["POST", "grants", grant, "amounts.outputTokens"],
  ] as const) {
    const [status, detail] = await send(method, `plain/${path}`, body);
    expect([status, detail]).toEqual([400, expect.stringContaining(`${field}: is counted only of a backend that has`)]);
    expect((await send(method, `asking/${path}`, body))[0]).toBeLessThan(300);
  }
  await app.live.take(async () => ({ ...config, backends: backends.map(({ name }) => ({ name, url, limits })) }));
  expect((await send("PUT", "asking/limits", { limits: { inputTokens: 5 } }))[0]).toBe(400);
});
