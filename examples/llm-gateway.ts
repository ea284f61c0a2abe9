// A gateway to accounts of OpenAI and Anthropic with monthly limits in tokens: what one has no room for goes to the next.
// npm install @usage/counter-core @usage/tracker @usage/store-drizzle drizzle-orm better-sqlite3 hono @hono/node-server gpt-tokenizer
// OPENAI_KEYS=main,spare ANTHROPIC_KEYS=main,spare node examples/llm-gateway.ts, with the folder llm-gateway beside it. Clients get the
// base URL http://localhost:3000/v1 (OpenAI) or http://localhost:3000 (Anthropic); who may ask at all is for you to check before.
import { serve } from "@hono/node-server";
import { type Hold, LocalCounterBackend } from "@usage/counter-core";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { openUsage } from "@usage/tracker";
import { toHeaders, toProblem } from "@usage/tracker/http";
import { Hono } from "hono";
import { MeteredAnswer } from "./llm-gateway/metered-answer.ts";
import { isCount, type Json, jsonOf, PROTOCOLS, type Protocol, type Told } from "./llm-gateway/protocols.ts";
import { roughly, TokenCounter } from "./llm-gateway/tokens.ts";

const { OPENAI_URL = "https://api.openai.com", ANTHROPIC_URL = "https://api.anthropic.com" } = process.env;
const { OPENAI_KEYS = "", ANTHROPIC_KEYS = "", PORT = "3000" } = process.env;
/** What an answer is held for whose question says nothing. */
const USUAL_OUTPUT = 4_096;
/** The first account of each provider has tokens to spend, the others so many requests. */
const MAIN = { inputTokens: 2_000_000, outputTokens: 500_000 };
const SPARE = { requests: 1_000 };
/** Who has no room for a question, or no credit at the provider: the next account may. */
const PASSED_OVER = new Set([401, 402, 429]);

interface Account {
  readonly name: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

function accountsOf(provider: string, url: string, keys: string, header: (key: string) => Record<string, string>) {
  const given = keys.split(",").filter((key) => key !== "");
  return given.map((key, i): Account => ({ name: `${provider}-${i + 1}`, url, headers: header(key) }));
}

const ACCOUNTS = {
  openai: accountsOf("openai", OPENAI_URL, OPENAI_KEYS, (key) => ({ authorization: `Bearer ${key}` })),
  anthropic: accountsOf("anthropic", ANTHROPIC_URL, ANTHROPIC_KEYS, (key) => ({ "x-api-key": key })),
};

const dimensions = ["requests", "inputTokens", "outputTokens"] as const;
type Tokens = (typeof dimensions)[number];
type Cost = Readonly<Record<Tokens, number>>;

const store = await openSqliteStore("usage.db", { dimensions });
const usage = await openUsage({
  counter: new LocalCounterBackend([], { dimensions }),
  store,
  limits: (account) => (account.endsWith("-1") ? MAIN : SPARE),
});
const tokens = new TokenCounter();
/** What is counted when the tokenizer has an answer. */
const estimates = new Set<Promise<void>>();

const app = new Hono().all("*", async (c) => {
  const { pathname, search } = new URL(c.req.url);
  const protocol = c.req.method === "POST" ? PROTOCOLS.get(pathname) : undefined;
  const isAnthropic = c.req.header("anthropic-version") !== undefined || pathname.startsWith("/v1/messages");
  const accounts = ACCOUNTS[protocol?.provider ?? (isAnthropic ? "anthropic" : "openai")];
  const body = c.req.raw.body === null ? undefined : new Uint8Array(await c.req.arrayBuffer());
  const question = protocol === undefined ? undefined : jsonOf(new TextDecoder().decode(body));
  const cost = protocol === undefined || question === undefined ? requestOnly() : costOf(protocol, question);
  const sent = protocol?.asked && question ? JSON.stringify(protocol.asked(question)) : body;

  let refused: Response | undefined;
  for (const account of accounts) {
    await usage.ensure(account.name);
    const hold = usage.tryReserve(account.name, cost, { ttlMs: 3_600_000 }); // the longest that an answer takes
    if (hold === undefined) continue;
    const headers = headersTo(account, c.req.raw.headers);
    const init: RequestInit = {
      method: c.req.method,
      headers,
      redirect: "manual",
      ...(sent !== undefined && { body: sent }),
    };
    let answer: Response;
    try {
      answer = await fetch(account.url + pathname + search, init);
    } catch (error) {
      hold.settle(requestOnly()); // it may have been there
      return c.json(
        { error: { message: `${account.name} cannot be reached: ${String(error)}`, type: "server_error" } },
        502,
      );
    }
    if (PASSED_OVER.has(answer.status)) {
      hold.void();
      await refused?.body?.cancel();
      refused = answer;
      continue;
    }
    await refused?.body?.cancel();
    return answered(hold, answer, protocol, question);
  }
  if (refused !== undefined)
    return new Response(refused.body, { status: refused.status, headers: headersFrom(refused) });
  const last = accounts.at(-1);
  if (last === undefined)
    return c.json({ error: { message: "no account of this provider", type: "server_error" } }, 503);
  const decision = usage.check(last.name, cost);
  return c.json(toProblem(decision), 429, { ...toHeaders(decision), "content-type": "application/problem+json" });
});

/** What a question may cost at most, by what it says and by its length. */
function costOf(protocol: Protocol, question: Json): Cost {
  const said = protocol.maxOutput(question);
  return {
    requests: 1,
    inputTokens: roughly(JSON.stringify(protocol.prompt(question)) ?? ""),
    outputTokens: isCount(said) ? said : USUAL_OUTPUT,
  };
}

function requestOnly(): Cost {
  return { requests: 1, inputTokens: 0, outputTokens: 0 };
}

/** Passes an answer on, and settles the hold by what it says, once it has ended. */
async function answered(
  hold: Hold<Tokens>,
  answer: Response,
  protocol: Protocol | undefined,
  question: Json | undefined,
): Promise<Response> {
  const head = { status: answer.status, headers: headersFrom(answer) };
  if (!answer.ok || protocol === undefined || question === undefined) {
    hold.settle(requestOnly());
    return new Response(answer.body, head);
  }
  const metered = new MeteredAnswer(protocol, question, (told, written) =>
    settle(hold, protocol, question, told, written),
  );
  if (answer.headers.get("content-type")?.startsWith("text/event-stream")) {
    return new Response(answer.body?.pipeThrough(metered.events()), head);
  }
  try {
    const text = await answer.text();
    metered.read(text);
    return new Response(text, head);
  } catch (error) {
    metered.read(""); // it has broken off
    throw error;
  }
}

/** By what the provider said; where it said nothing, by what a tokenizer says of what was asked and written. */
function settle(hold: Hold<Tokens>, protocol: Protocol, question: Json, told: Told, written: string): void {
  const { inputTokens, outputTokens } = told;
  if (inputTokens !== undefined && outputTokens !== undefined) {
    count(hold, { requests: 1, inputTokens, outputTokens });
    return;
  }
  const estimate = tokens
    .count([JSON.stringify(protocol.prompt(question)) ?? "", written])
    .then(([input = 0, output = 0]) => {
      const cost = { requests: 1, inputTokens: inputTokens ?? input, outputTokens: outputTokens ?? output };
      console.log(`${hold.backend} did not say what an answer has cost: ${JSON.stringify(cost)} by estimate`);
      count(hold, cost);
    });
  estimates.add(estimate);
  void estimate.finally(() => estimates.delete(estimate));
}

/** What was used is counted, also beyond what was held; then a limit may be passed by it. */
function count(hold: Hold<Tokens>, cost: Cost): void {
  const over = dimensions.filter((dimension) => cost[dimension] > hold.usage[dimension]);
  for (const each of over)
    console.log(`${hold.backend} used ${cost[each] - hold.usage[each]} ${each} more than it held`);
  hold.settle(cost);
}

/** What belongs to one connection, or is said anew for the next one. */
const OURS = ["host", "connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding", "expect"];
const KEYS = ["authorization", "x-api-key"];

function headersTo(account: Account, from: Headers): Headers {
  const headers = new Headers(from);
  for (const name of [...OURS, ...KEYS]) headers.delete(name);
  headers.set("accept-encoding", "identity"); // what is compressed could not be read
  for (const [name, value] of Object.entries(account.headers)) headers.set(name, value);
  return headers;
}

function headersFrom(answer: Response): Headers {
  const headers = new Headers(answer.headers);
  for (const name of ["connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"])
    headers.delete(name);
  return headers;
}

const server = serve({ fetch: app.fetch, port: Number(PORT) }, (at) => console.log(`http://localhost:${at.port}`));
/** Once the server is closed and running answers have ended. */
async function stop(): Promise<void> {
  await Promise.all(estimates);
  await tokens.stop();
  await usage.close(); // what is counted is stored, or this rejects
  await store.close();
}
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close(stop));
