import { CostBook } from "../../apps/demo-proxy/src/rules/cost-book.ts";
import { RouteTable } from "../../apps/demo-proxy/src/rules/route-table.ts";
import { EventReader, JsonReader } from "../../apps/demo-proxy/src/tokens/answer-reader.ts";
import { estimateOf } from "../../apps/demo-proxy/src/tokens/estimate.ts";
import { questionKind } from "../../apps/demo-proxy/src/tokens/token-protocol.ts";
import { answer } from "../child.ts";
import { interleave, roundsOf } from "../rounds.ts";

/** In microseconds per request. */
export type RulesTimes = Record<Subject, number[]>;
export type Subject = "route" | "escaped" | "classes" | "estimate" | "whole" | "stream";

const REQUESTS = 500;
const PATH = "/bucket/folder/key-1.bin";
const ESCAPED = "/bucket/a%20folder/key%2F1.bin";

// The tenth of ten rules is for it.
const routes = Array.from({ length: 10 }, (_, i) => ({
  match: { path: [i === 9 ? "/bucket/*" : `/other-${i}/*`] },
  backends: [`backend-${i}`],
}));
const table = new RouteTable(routes, (name) => name);
const route = (path: string) => () => {
  const pool = table.poolOf({ method: "GET", path, host: "127.0.0.1:8080" });
  if (typeof pool === "string") throw new Error(`no rule is for ${path}`);
};

const book = new CostBook(
  new Map([
    ["classA", "r2-class-a"],
    ["classB", "r2-class-b"],
  ]),
);

const chat = questionKind("openai", "POST", "/v1/chat/completions");
if (chat === undefined) throw new Error("chats are no questions");
const question = Buffer.from(
  JSON.stringify({ messages: [{ role: "user", content: "x".repeat(4_000) }], max_tokens: 9 }),
);
const usage = { prompt_tokens: 7, completion_tokens: 21 };
const whole = Buffer.from(JSON.stringify({ choices: [{ message: { content: "x".repeat(4_000) } }], usage }));
const chunk = (content: string, usage: object | null = null) =>
  Buffer.from(`data: ${JSON.stringify({ id: "chat-1", choices: [{ index: 0, delta: { content } }], usage })}\n\n`);
const events = [...Array.from({ length: 100 }, (_, i) => chunk(` word-${i}`)), chunk("", usage)];

function sample(work: () => void): () => number {
  return () => {
    const before = process.hrtime.bigint();
    for (let i = 0; i < REQUESTS; i++) work();
    return Number(process.hrtime.bigint() - before) / REQUESTS / 1_000;
  };
}

const subjects: Record<Subject, () => number> = {
  route: sample(route(PATH)),
  escaped: sample(route(ESCAPED)),
  classes: sample(() => void book.costsOf("GET", PATH)?.by(200)),
  estimate: sample(() => void estimateOf(chat, question, true, question.length)),
  whole: sample(() => {
    const reader = new JsonReader(chat);
    reader.push(whole);
    if (reader.end().outputTokens !== 21) throw new Error("the answer is not read");
  }),
  stream: sample(() => {
    const reader = new EventReader(chat);
    for (const event of events) reader.push(event);
    if (reader.end().outputTokens !== 21) throw new Error("the stream is not read");
  }),
};
answer((await interleave(subjects, roundsOf({ rounds: 15, warmups: 3 }))) satisfies RulesTimes);
