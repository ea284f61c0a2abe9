import { once } from "node:events";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { describe, expect, it } from "vitest";
import {
  type Answer,
  chatChunk,
  eventText,
  type FakeProvider,
  sendEvents,
  sendJson,
  startFakeProvider,
} from "./support/fake-provider.ts";
import { RunningExample } from "./support/run-example.ts";
import { storeBefore, storedIn } from "./support/stored.ts";
import { tempFolder } from "./support/temp-folder.ts";

interface Given {
  readonly folder?: string;
  readonly keys?: string;
}

async function startGateway(provider: FakeProvider, { folder = tempFolder(), keys = "key-1,key-2" }: Given = {}) {
  const example = new RunningExample("llm-gateway.ts", folder, {
    OPENAI_URL: provider.url,
    OPENAI_KEYS: keys,
    ANTHROPIC_URL: provider.url,
    ANTHROPIC_KEYS: keys,
  });
  const url = await example.url();
  return {
    url,
    openai: new OpenAI({ baseURL: `${url}/v1`, apiKey: "of-a-client", maxRetries: 0 }),
    anthropic: new Anthropic({ baseURL: url, apiKey: "of-a-client", maxRetries: 0 }),
    /** Stops it; answers what it stored, by account. */
    async stop() {
      example.terminate();
      const output = await example.ended();
      const stored = Object.fromEntries((await storedIn(folder)).map(({ backend, usage }) => [backend, usage]));
      return { stored, output };
    },
  };
}

const ASKED = { model: "small", messages: [{ role: "user" as const, content: "hi" }] };

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const events: T[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

describe("llm-gateway.ts, asked by the client of OpenAI", () => {
  it("counts what a chat says it has cost, a whole answer or streamed", async () => {
    const provider = await startFakeProvider();
    const gateway = await startGateway(provider);
    const whole = await gateway.openai.chat.completions.create(ASKED);
    expect(whole.choices[0]?.message.content).toBe("hello world");
    const chunks = await all(await gateway.openai.chat.completions.create({ ...ASKED, stream: true }));
    expect(chunks.map(({ choices }) => choices[0]?.delta.content)).toEqual(["hello", " world"]);
    expect(provider.keys()).toEqual(["key-1", "key-1"]);
    expect(provider.questions[0]?.body).toEqual(ASKED);
    expect(provider.questions[1]?.body.stream_options).toEqual({ include_usage: true });
    const { stored } = await gateway.stop();
    expect(stored).toEqual({ "openai-1": { requests: 2, inputTokens: 14, outputTokens: 42 } });
  });

  it.each<[string, { include_usage?: boolean; include_obfuscation?: boolean } | undefined, number]>([
    ["nothing", undefined, 2],
    ["other options", { include_obfuscation: false }, 2],
    ["no usage", { include_usage: false }, 2],
    ["usage", { include_usage: true }, 3],
  ])("passes on no chunk that the client did not ask for: %s", async (_, options, chunks) => {
    const provider = await startFakeProvider();
    const gateway = await startGateway(provider);
    const asked = { ...ASKED, stream: true as const, ...(options && { stream_options: options }) };
    const received = await all(await gateway.openai.chat.completions.create(asked));
    expect(received).toHaveLength(chunks);
    expect(received.filter(({ usage }) => usage != null)).toHaveLength(chunks - 2);
    expect(provider.questions[0]?.body.stream_options).toEqual({ ...options, include_usage: true });
    const { stored } = await gateway.stop();
    expect(stored).toEqual({ "openai-1": { requests: 1, inputTokens: 7, outputTokens: 21 } });
  });

  it("counts responses, streamed or not, and embeddings", async () => {
    const gateway = await startGateway(await startFakeProvider());
    const whole = await gateway.openai.responses.create({ model: "small", input: "hi" });
    expect(whole.output_text).toBe("hello");
    const events = await all(await gateway.openai.responses.create({ model: "small", input: "hi", stream: true }));
    expect(events.map(({ type }) => type).at(-1)).toBe("response.completed");
    expect(events).toHaveLength(4);
    await gateway.openai.embeddings.create({ model: "small", input: "hi", encoding_format: "float" });
    const { stored } = await gateway.stop();
    expect(stored).toEqual({ "openai-1": { requests: 3, inputTokens: 8 + 8 + 9, outputTokens: 44 } });
  });

  it("holds what max_tokens says: two at once do not pass a limit that has room for one", async () => {
    const asked = Promise.withResolvers<void>();
    const letGo = Promise.withResolvers<void>();
    const slow: Answer = async (_question, response) => {
      asked.resolve();
      await letGo.promise;
      sendJson(response, { choices: [], usage: { prompt_tokens: 1, completion_tokens: 10 } });
    };
    const folder = tempFolder();
    await storeBefore(folder, { "openai-1": { outputTokens: 499_000 } });
    const provider = await startFakeProvider({ "/v1/chat/completions": slow });
    const gateway = await startGateway(provider, { folder, keys: "key-1" });
    const first = gateway.openai.chat.completions.create({ ...ASKED, max_tokens: 600 });
    await asked.promise;
    const second = await gateway.openai.chat.completions
      .create({ ...ASKED, max_completion_tokens: 600 })
      .catch((e) => e);
    expect(second).toBeInstanceOf(OpenAI.RateLimitError);
    expect(second).toMatchObject({ status: 429, code: "rate_limit_exceeded" }); // only held: a second later there may be room
    letGo.resolve();
    await first;
    await gateway.openai.chat.completions.create({ ...ASKED, max_completion_tokens: 600 });
    const { stored } = await gateway.stop();
    expect(stored["openai-1"]).toEqual({ requests: 2, inputTokens: 2, outputTokens: 499_020 });
  });

  it("goes over to the next account when the first one is used up, and refuses when all are", async () => {
    const provider = await startFakeProvider();
    const folder = tempFolder();
    await storeBefore(folder, { "openai-1": { outputTokens: 500_000 }, "openai-2": { requests: 999 } });
    const gateway = await startGateway(provider, { folder });
    await gateway.openai.chat.completions.create(ASKED);
    const refused = await gateway.openai.chat.completions.create(ASKED).catch((error) => error);
    expect(refused).toMatchObject({ status: 429, code: "insufficient_quota" });
    expect(refused.headers.get("x-should-retry")).toBe("false");
    expect(refused.headers.get("ratelimit")).toMatch(/^"requests";r=0;t=\d+$/);
    expect(provider.keys()).toEqual(["key-2"]);
    await gateway.stop();
  });

  it.each([401, 402, 429])(
    "goes over to the next account when the provider refuses the first with %i",
    async (status) => {
      const provider = await startFakeProvider();
      const gateway = await startGateway(provider, { keys: `answers-${status},key-2` });
      const answer = await gateway.openai.chat.completions.create(ASKED);
      expect(answer.choices[0]?.message.content).toBe("hello world");
      expect(provider.keys()).toEqual([`answers-${status}`, "key-2"]);
      const { stored } = await gateway.stop();
      expect(stored).toEqual({ "openai-2": { requests: 1, inputTokens: 7, outputTokens: 21 } });
    },
  );

  it("passes on the provider's own words where the last account is refused, too, and any other error at once", async () => {
    const provider = await startFakeProvider();
    const gateway = await startGateway(provider, { keys: "answers-401,answers-429" });
    const refused = await gateway.openai.chat.completions.create(ASKED).catch((error) => error);
    expect(refused).toMatchObject({ status: 429, message: expect.stringContaining("refused with 429") });
    const { stored } = await gateway.stop();
    expect(stored).toEqual({});

    const wrong = await startGateway(provider, { keys: "answers-400,key-2" });
    expect(await wrong.openai.chat.completions.create(ASKED).catch(({ status }) => status)).toBe(400);
    expect(provider.keys().at(-1)).toBe("answers-400");
    expect((await wrong.stop()).stored).toEqual({ "openai-1": { requests: 1 } });
  });

  it("says so where a provider cannot be reached, and counts the request, which may have been there", async () => {
    const gateway = await startGateway({ ...(await startFakeProvider()), url: "http://127.0.0.1:1" });
    expect(await gateway.openai.chat.completions.create(ASKED).catch(({ status }) => status)).toBe(502);
    expect((await gateway.stop()).stored).toEqual({ "openai-1": { requests: 1 } });
  });

  it("passes headers both ways, and the client's key to nobody", async () => {
    const provider = await startFakeProvider();
    const gateway = await startGateway(provider);
    const { response } = await gateway.openai.chat.completions
      .create(ASKED, { headers: { "openai-organization": "org-1", "x-trace": "abc" } })
      .withResponse();
    expect(response.headers.get("x-request-id")).toBe("req-1");
    expect(provider.questions[0]?.headers).toMatchObject({ "openai-organization": "org-1", "x-trace": "abc" });
    expect(JSON.stringify(provider.questions)).not.toContain("of-a-client");
    await gateway.stop();
  });

  it("passes other paths through, each as a request", async () => {
    const provider = await startFakeProvider();
    const gateway = await startGateway(provider);
    const models = await all(gateway.openai.models.list());
    expect(models.map(({ id }) => id)).toEqual(["small"]);
    expect(await gateway.openai.files.retrieve("f").catch(({ status }) => status)).toBe(404);
    const { stored } = await gateway.stop();
    expect(stored).toEqual({ "openai-1": { requests: 2 } });
  });

  it("passes events on while they come, in whatever pieces, and what is no JSON as it is", async () => {
    const firstIsRead = Promise.withResolvers<void>();
    const end = `${eventText(chatChunk("wörld"))}data: {"choices\n\n${eventText(chatChunk("", { prompt_tokens: 7, completion_tokens: 21 }))}`;
    const slow: Answer = async (_question, response) => {
      sendEvents(response, [chatChunk("hello")]);
      await firstIsRead.promise;
      for (const byte of Buffer.from(end)) {
        response.write(Buffer.of(byte));
        if (byte > 127 || byte === 10) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      response.end("data: [DONE]\n\n");
    };
    const gateway = await startGateway(await startFakeProvider({ "/v1/chat/completions": slow }));
    const body = JSON.stringify({ ...ASKED, stream: true });
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, { method: "POST", body });
    let read = "";
    for await (const piece of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      read += piece;
      firstIsRead.resolve();
    }
    expect(read).toBe(
      `${eventText(chatChunk("hello"))}${eventText(chatChunk("wörld"))}data: {"choices\n\ndata: [DONE]\n\n`,
    );
    expect((await gateway.stop()).stored).toEqual({ "openai-1": { requests: 1, inputTokens: 7, outputTokens: 21 } });
  });

  it("estimates by a tokenizer what a provider does not say, and reports what is above the hold", async () => {
    const silent: Answer = (_question, response) => {
      sendJson(response, { choices: [{ message: { content: "hello world ".repeat(50) } }] });
    };
    const gateway = await startGateway(await startFakeProvider({ "/v1/chat/completions": silent }));
    const content = "The quick brown fox jumps over the lazy dog. ".repeat(20);
    await gateway.openai.chat.completions.create({ ...ASKED, messages: [{ role: "user", content }], max_tokens: 10 });
    const { stored, output } = await gateway.stop();
    const { inputTokens = 0, outputTokens = 0 } = stored["openai-1"] ?? {};
    expect(outputTokens).toBeGreaterThanOrEqual(100);
    expect(outputTokens).toBeLessThan(110); // 600 characters: four a token would be 150
    expect(inputTokens).toBeGreaterThan(180);
    expect(inputTokens).toBeLessThan(240);
    expect(output).toContain("openai-1 did not say what an answer has cost");
    expect(output).toContain(`openai-1 used ${outputTokens - 10} outputTokens more than it held`);
  });

  it("counts by the estimate what was written when the client leaves, and leaves the provider, too", async () => {
    const left = Promise.withResolvers<void>();
    const endless: Answer = async (_question, response) => {
      sendEvents(response, [chatChunk("one two three"), chatChunk(" four five six")]);
      await once(response, "close");
      left.resolve();
    };
    const gateway = await startGateway(await startFakeProvider({ "/v1/chat/completions": endless }));
    const stream = await gateway.openai.chat.completions.create({ ...ASKED, stream: true });
    let seen = 0;
    for await (const _ of stream) if (++seen === 2) break; // which aborts it
    await left.promise;
    const { stored } = await gateway.stop();
    expect(stored["openai-1"]).toMatchObject({ requests: 1, outputTokens: 6 });
    expect(stored["openai-1"]?.inputTokens).toBeGreaterThan(1);
  });

  it("counts the question of a client that left before the first event", async () => {
    const asked = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    const slow: Answer = async (_question, response) => {
      asked.resolve();
      await goOn.promise;
      sendEvents(response, [chatChunk("one")]);
      await once(response, "close");
      left.resolve();
    };
    const gateway = await startGateway(await startFakeProvider({ "/v1/chat/completions": slow }));
    const controller = new AbortController();
    const answer = gateway.openai.chat.completions.create({ ...ASKED, stream: true }, { signal: controller.signal });
    await asked.promise;
    controller.abort();
    await expect(answer).rejects.toThrow("aborted");
    await new Promise((resolve) => setTimeout(resolve, 100)); // for the gateway to notice
    goOn.resolve();
    await left.promise;
    const { stored } = await gateway.stop();
    expect(stored["openai-1"]?.requests).toBe(1);
    expect(stored["openai-1"]?.inputTokens).toBeGreaterThan(1);
  });
});

describe("llm-gateway.ts, asked by the client of Anthropic", () => {
  const MESSAGE = { ...ASKED, max_tokens: 100 };

  it("counts what a message says it has cost, with what the cache took, a whole answer or streamed", async () => {
    const provider = await startFakeProvider();
    const gateway = await startGateway(provider);
    const whole = await gateway.anthropic.messages.create(MESSAGE);
    expect(whole.content).toMatchObject([{ text: "hello" }]);
    const final = await gateway.anthropic.messages.stream(MESSAGE).finalMessage();
    expect(final.content).toMatchObject([{ text: "hello" }]);
    expect(provider.keys()).toEqual(["key-1", "key-1"]);
    expect(provider.questions[1]?.body).toEqual({ ...MESSAGE, stream: true });
    const { stored } = await gateway.stop();
    expect(stored).toEqual({ "anthropic-1": { requests: 2, inputTokens: 20, outputTokens: 46 } });
  });

  it("goes over to the next account on 401, and passes models and versions through", async () => {
    const provider = await startFakeProvider();
    const gateway = await startGateway(provider, { keys: "answers-401,key-2" });
    await gateway.anthropic.messages.create(MESSAGE);
    await all(gateway.anthropic.models.list());
    expect(provider.keys()).toEqual(["answers-401", "key-2", "answers-401", "key-2"]);
    expect(provider.questions.map(({ headers }) => headers["anthropic-version"])).toEqual(
      Array(4).fill(expect.stringMatching(/^\d{4}-\d{2}-\d{2}$/)),
    );
    expect(provider.questions.filter(({ headers }) => "authorization" in headers)).toEqual([]);
    const { stored } = await gateway.stop();
    expect(stored).toEqual({ "anthropic-2": { requests: 2, inputTokens: 10, outputTokens: 23 } });
  });

  it("does not take what the first event says for all that was written", async () => {
    const left = Promise.withResolvers<void>();
    const endless: Answer = async (_question, response) => {
      const message = {
        id: "m",
        type: "message",
        role: "assistant",
        content: [],
        usage: { input_tokens: 5, output_tokens: 1 },
      };
      sendEvents(response, [
        { type: "message_start", message },
        { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
        { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "one two three four" } },
      ]);
      await once(response, "close");
      left.resolve();
    };
    const gateway = await startGateway(await startFakeProvider({ "/v1/messages": endless }));
    const stream = await gateway.anthropic.messages.create({ ...MESSAGE, stream: true });
    for await (const event of stream) if (event.type === "content_block_delta") break;
    await left.promise;
    const { stored } = await gateway.stop();
    expect(stored).toEqual({ "anthropic-1": { requests: 1, inputTokens: 5, outputTokens: 4 } });
  });
});
