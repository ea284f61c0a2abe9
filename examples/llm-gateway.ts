// A gateway to OpenAI-compatible accounts with monthly limits in tokens: what one has no room for goes to the next.
// npm install @usage/counter-core @usage/tracker @usage/store-drizzle drizzle-orm better-sqlite3 hono @hono/node-server
// MAIN_KEY=... SPARE_KEY=... node examples/llm-gateway.ts and, in the client, the base URL http://localhost:3000/v1
import { serve } from "@hono/node-server";
import { LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { openUsage } from "@usage/tracker";
import { toHeaders, toProblem } from "@usage/tracker/http";
import { Hono } from "hono";

const { LLM_URL = "https://api.openai.com/v1", MAIN_KEY = "", SPARE_KEY = "", PORT = "3000" } = process.env;
const KEYS = new Map(Object.entries({ main: MAIN_KEY, spare: SPARE_KEY }));
const limits = { main: { inputTokens: 2_000_000, outputTokens: 500_000 }, spare: { requests: 1_000 } };
const dimensions = ["requests", "inputTokens", "outputTokens"] as const;

const store = await openSqliteStore("usage.db", { dimensions });
const usage = await openUsage({ counter: new LocalCounterBackend(KEYS.keys(), { dimensions }), store, limits });

const app = new Hono().post("/v1/chat/completions", async (c) => {
  const question = await c.req.json();
  const estimate = Math.ceil(JSON.stringify(question.messages ?? "").length / 4); // about four characters a token
  const proposed = { requests: 1, inputTokens: estimate, outputTokens: 1 };
  const [account] = usage.backendsWithinLimits([...KEYS.keys()], proposed);
  if (account === undefined) {
    const decision = usage.check("spare", proposed);
    return c.json(toProblem(decision), 429, { ...toHeaders(decision), "content-type": "application/problem+json" });
  }
  usage.record(account, { requests: 1 }); // its tokens count when they are known, so requests in flight may overshoot
  const answer = await fetch(`${LLM_URL}/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${KEYS.get(account)}`, "content-type": "application/json" },
    body: JSON.stringify(question.stream ? { ...question, stream_options: { include_usage: true } } : question),
  });
  const head = {
    status: answer.status,
    headers: { "content-type": answer.headers.get("content-type") ?? "application/json" },
  };
  if (!answer.ok) return new Response(answer.body, head);
  if (question.stream) return new Response(answer.body?.pipeThrough(metered(account, estimate)), head);
  const text = await answer.text();
  const { prompt_tokens = estimate, completion_tokens = 0 } = usageIn(text) ?? {};
  usage.record(account, { inputTokens: prompt_tokens, outputTokens: completion_tokens });
  return new Response(text, head);
});

/** Passes events on, and records the usage that the last one tells; failing that, the estimate and a token an event. */
function metered(account: string, estimate: number): TransformStream<Uint8Array, Uint8Array> {
  let [inputTokens, outputTokens, rest] = [estimate, 0, ""];
  const record = () => usage.record(account, { inputTokens, outputTokens });
  const decoder = new TextDecoder();
  return new TransformStream({
    transform(piece, controller) {
      controller.enqueue(piece);
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.filter((line) => line.startsWith("data: {"))) {
        const told = usageIn(line.slice(6));
        inputTokens = told?.prompt_tokens ?? inputTokens;
        outputTokens = told?.completion_tokens ?? outputTokens + 1;
      }
    },
    flush: record,
    cancel: record, // the client has left, or the account has broken off
  });
}

/** What an answer or an event says it has cost; one that is no JSON says nothing. */
function usageIn(json: string): { prompt_tokens?: number; completion_tokens?: number } | undefined {
  try {
    return JSON.parse(json).usage;
  } catch {
    return undefined;
  }
}

const server = serve({ fetch: app.fetch, port: Number(PORT) }, (at) => console.log(`http://localhost:${at.port}/v1`));
/** Once the server is closed and running answers have ended. */
async function stop(): Promise<void> {
  await usage.close(); // what is counted is stored, or this rejects
  await store.close();
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close(stop));
