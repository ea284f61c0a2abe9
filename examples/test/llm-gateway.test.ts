import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { type FakeLlm, startFakeLlm, textEvent, usageEvents } from "./support/fake-llm.ts";
import { RunningExample } from "./support/run-example.ts";
import { storeBefore, storedIn } from "./support/stored.ts";
import { tempFolder } from "./support/temp-folder.ts";

async function startGateway(llm: FakeLlm, folder: string) {
  const example = new RunningExample("llm-gateway.ts", folder, {
    LLM_URL: llm.url,
    MAIN_KEY: "key-1",
    SPARE_KEY: "key-2",
  });
  const url = `${await example.url()}/chat/completions`;
  const post = (question: object, signal?: AbortSignal): Promise<Response> =>
    fetch(url, { method: "POST", body: JSON.stringify(question), ...(signal && { signal }) });
  return {
    ask: (content: string, signal?: AbortSignal): Promise<Response> =>
      post({ model: "small", stream: true, messages: [{ role: "user", content }] }, signal),
    askForAll: (content: string): Promise<Response> => post({ model: "small", messages: [{ role: "user", content }] }),
    /** Stops it; answers what it stored, by account. */
    async stop() {
      example.terminate();
      await example.ended();
      return Object.fromEntries((await storedIn(folder)).map(({ backend, usage }) => [backend, usage]));
    },
  };
}

describe("llm-gateway.ts", () => {
  it("passes events on while they come, and records the tokens that the upstream tells at the end", async () => {
    const { promise: firstIsRead, resolve: letGoOn } = Promise.withResolvers<void>();
    const end = textEvent("world") + usageEvents(7, 21);
    const cut = end.indexOf("completion_tokens"); // a line may come in two pieces
    const llm = await startFakeLlm(async (response) => {
      response.write(textEvent("hello"));
      await firstIsRead;
      response.write(end.slice(0, cut));
      await new Promise((resolve) => setTimeout(resolve, 50));
      response.end(end.slice(cut));
    });
    const gateway = await startGateway(llm, tempFolder());
    const answer = await gateway.ask("hi");
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    let read = "";
    for await (const piece of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      read += piece;
      if (read === textEvent("hello")) letGoOn();
    }
    expect(read).toBe(textEvent("hello") + end);
    expect(llm.questions).toMatchObject([
      { key: "key-1", body: { model: "small", stream: true, stream_options: { include_usage: true } } },
    ]);
    expect(await gateway.stop()).toEqual({ main: { requests: 1, inputTokens: 7, outputTokens: 21 } });
  });

  it("answers as a whole who does not ask for a stream, and records the tokens that the answer tells", async () => {
    const whole = JSON.stringify(
      { choices: [{ message: { content: "hello" } }], usage: { prompt_tokens: 7, completion_tokens: 21 } },
      null,
      2,
    );
    const llm = await startFakeLlm((response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(whole);
    });
    const gateway = await startGateway(llm, tempFolder());
    const answer = await gateway.askForAll("hi");
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
    expect(await answer.text()).toBe(whole);
    expect(llm.questions[0]?.body).toEqual({ model: "small", messages: [{ role: "user", content: "hi" }] });
    expect(await gateway.stop()).toEqual({ main: { requests: 1, inputTokens: 7, outputTokens: 21 } });
  });

  it("passes an event on that is no JSON, and records what the others tell", async () => {
    const events = `data: {"choices\n\n${usageEvents(7, 21)}`;
    const llm = await startFakeLlm((response) => void response.end(events));
    const gateway = await startGateway(llm, tempFolder());
    expect(await (await gateway.ask("hi")).text()).toBe(events);
    expect(await gateway.stop()).toEqual({ main: { requests: 1, inputTokens: 7, outputTokens: 21 } });
  });

  it("goes over to the spare account when the first one is used up, and refuses when both are", async () => {
    const llm = await startFakeLlm((response) => void response.end(usageEvents(10, 499_990)));
    const folder = tempFolder();
    await storeBefore(folder, { main: { outputTokens: 10 }, spare: { requests: 998 } });
    const gateway = await startGateway(llm, folder);
    for (let i = 0; i < 3; i++) await (await gateway.ask("hi")).text();
    expect(llm.questions.map(({ key }) => key)).toEqual(["key-1", "key-2", "key-2"]);

    const refused = await gateway.ask("hi");
    expect([refused.status, refused.headers.get("content-type")]).toEqual([429, "application/problem+json"]);
    expect(refused.headers.get("ratelimit")).toMatch(/^"requests";r=0;t=\d+$/);
    expect(refused.headers.get("x-should-retry")).toBe("false");
    expect(await refused.json()).toMatchObject({
      "violated-policies": ["requests"],
      error: { code: "insufficient_quota" },
    });
    expect(llm.questions).toHaveLength(3);
    expect(await gateway.stop()).toEqual({
      main: { requests: 1, inputTokens: 10, outputTokens: 500_000 },
      spare: { requests: 1_000, inputTokens: 20, outputTokens: 999_980 },
    });
  });

  it("sends a question past an account whose input tokens would not do for it, by an estimate", async () => {
    const llm = await startFakeLlm((response) => void response.end(usageEvents(5, 5)));
    const folder = tempFolder();
    await storeBefore(folder, { main: { inputTokens: 1_999_900 } });
    const gateway = await startGateway(llm, folder);
    await (await gateway.ask("a long question ".repeat(50))).text(); // about 200 tokens, where 100 are left
    await (await gateway.ask("a short one")).text();
    expect(llm.questions.map(({ key }) => key)).toEqual(["key-2", "key-1"]);
    expect(await gateway.stop()).toMatchObject({ main: { inputTokens: 1_999_905 }, spare: { inputTokens: 5 } });
  });

  it("records the estimate and what was written when the client leaves, and leaves the upstream, too", async () => {
    const { promise: leftAlone, resolve } = Promise.withResolvers<void>();
    const llm = await startFakeLlm(async (response) => {
      response.write(textEvent("one") + textEvent("two"));
      await once(response, "close");
      resolve();
    });
    const gateway = await startGateway(llm, tempFolder());
    const controller = new AbortController();
    const answer = await gateway.ask("x".repeat(4_000), controller.signal);
    await answer.body?.getReader().read();
    controller.abort();
    await leftAlone;
    const { main } = await gateway.stop();
    expect(main).toMatchObject({ requests: 1, outputTokens: 2 });
    expect(main?.inputTokens).toBeGreaterThan(1_000);
    expect(main?.inputTokens).toBeLessThan(1_100);
  });

  it("records the estimate of a client that left before the first event", async () => {
    const asked = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    const leftAlone = Promise.withResolvers<void>();
    const llm = await startFakeLlm(async (response) => {
      asked.resolve();
      await left.promise;
      response.write(textEvent("one"));
      await once(response, "close");
      leftAlone.resolve();
    });
    const gateway = await startGateway(llm, tempFolder());
    const controller = new AbortController();
    const answer = gateway.ask("x".repeat(4_000), controller.signal);
    await asked.promise;
    controller.abort();
    await expect(answer).rejects.toThrow("aborted");
    await new Promise((resolve) => setTimeout(resolve, 100)); // for the gateway to notice
    left.resolve();
    await leftAlone.promise;
    const { main } = await gateway.stop();
    expect(main?.requests).toBe(1);
    expect(main?.inputTokens).toBeGreaterThan(1_000);
  });

  it("passes an upstream's refusal on, and counts no tokens for it", async () => {
    const llm = await startFakeLlm((response) => {
      response.writeHead(400, { "content-type": "application/json" }).end(`{"error":{"message":"no such model"}}`);
    });
    const gateway = await startGateway(llm, tempFolder());
    const answer = await gateway.ask("hi");
    expect([answer.status, answer.headers.get("content-type")]).toEqual([400, "application/json"]);
    expect(await answer.json()).toEqual({ error: { message: "no such model" } });
    expect(await gateway.stop()).toEqual({ main: { requests: 1 } });
  });
});
