import Anthropic from "@anthropic-ai/sdk";
import { systemClock } from "@usage/counter-core";
import OpenAI from "openai";
import { describe, expect, test } from "vitest";
import { startUpstream } from "./node-upstream.ts";
import { type RunningProxy, startProxy } from "./proxy-fixture.ts";

const QUESTION = { role: "user", content: "hi" } as const;
// At least a day before the end of the month, whenever the test runs.
const clock = { ...systemClock, now: () => Date.now() - 86_400_000 };

/** A proxy in front of a backend whose limit is used up. */
async function usedUp(): Promise<RunningProxy> {
  const upstream = await startUpstream((_request, response) => response.end("{}"));
  const proxy = await startProxy({
    upstreams: { llm: upstream.port },
    limits: { llm: { apiRequests: 1 } },
    clock,
  });
  proxy.tracker.record("llm", { apiRequests: 1 });
  return proxy;
}

async function failureOf(call: () => PromiseLike<unknown>): Promise<unknown> {
  const began = performance.now();
  const failure = await Promise.resolve(call()).then(
    () => expect.unreachable("the call passed"),
    (error: unknown) => error,
  );
  expect(performance.now() - began).toBeLessThan(10_000);
  return failure;
}

describe("a limit that is used up until the end of the month", () => {
  test("fails a call of OpenAI's client at once, in words and with a code", { timeout: 30_000 }, async () => {
    const proxy = await usedUp();
    const client = new OpenAI({ apiKey: "x", baseURL: `${proxy.origin}/v1` });
    const chat = () => client.chat.completions.create({ model: "small", messages: [QUESTION] });
    const failure = await failureOf(chat);
    expect(failure).toBeInstanceOf(OpenAI.RateLimitError);
    expect(failure).toMatchObject({ status: 429, code: "insufficient_quota", type: "insufficient_quota" });
    expect([...proxy.server.ownAnswers]).toEqual([[429, 1]]);
    expect(String(failure)).toMatch(/^Error: 429 No backend has room left\. The limit of apiRequests/);
    const list = await failureOf(() => client.models.list());
    expect(list).toMatchObject({ status: 429, code: "insufficient_quota" });
  });

  test("fails a call of Anthropic's client at once, in words", { timeout: 30_000 }, async () => {
    const proxy = await usedUp();
    const client = new Anthropic({ apiKey: "x", baseURL: proxy.origin });
    const failure = await failureOf(() =>
      client.messages.create({ model: "small", max_tokens: 10, messages: [QUESTION] }),
    );
    expect(failure).toBeInstanceOf(Anthropic.RateLimitError);
    expect(failure).toMatchObject({ status: 429, error: { error: { type: "insufficient_quota" } } });
    expect([...proxy.server.ownAnswers]).toEqual([[429, 1]]);
    expect(String(failure)).toContain("The limit of apiRequests in the period");
  });
});
