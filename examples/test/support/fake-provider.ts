import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";

export interface Question {
  readonly path: string;
  readonly method: string;
  /** The API key that it was asked with, by the header of OpenAI or of Anthropic. */
  readonly key: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

export interface FakeProvider {
  readonly url: string;
  readonly questions: readonly Question[];
  /** Of the accounts that it was asked with, in order. */
  keys(): readonly string[];
}

export type Answer = (question: Question, response: ServerResponse) => Promise<void> | void;

/** Speaks as OpenAI and as Anthropic do; `answers` are by path, in place of the usual ones. Stopped after the test. */
export async function startFakeProvider(answers: Readonly<Record<string, Answer>> = {}): Promise<FakeProvider> {
  const questions: Question[] = [];
  const server = createServer(async (request, response) => {
    const { pathname: path } = new URL(request.url ?? "/", "http://provider");
    const sent = await text(request);
    const key = request.headers["x-api-key"] ?? request.headers.authorization?.replace("Bearer ", "") ?? "";
    const question: Question = {
      path: request.url ?? "",
      method: request.method ?? "",
      key: String(key),
      headers: request.headers,
      body: sent === "" ? {} : (JSON.parse(sent) as Record<string, unknown>),
    };
    questions.push(question);
    const refusal = /^answers-(\d+)$/.exec(question.key)?.[1];
    if (refusal !== undefined) return refuse(response, Number(refusal));
    const answer = answers[path] ?? USUAL[path];
    if (answer === undefined) return refuse(response, 404);
    return answer(question, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, questions, keys: () => questions.map(({ key }) => key) };
}

export function refuse(response: ServerResponse, status: number): void {
  sendJson(response, { type: "error", error: { type: "some_error", message: `refused with ${status}` } }, status);
}

export function sendJson(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { "content-type": "application/json", "x-request-id": "req-1" });
  response.end(JSON.stringify(body));
}

/** Events as OpenAI writes them, or, with a type, Anthropic. */
export function sendEvents(response: ServerResponse, events: readonly object[]): void {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req-1" });
  for (const event of events) response.write(eventText(event));
}

export function eventText(event: object): string {
  const type = "type" in event ? `event: ${String(event.type)}\n` : "";
  return `${type}data: ${JSON.stringify(event)}\n\n`;
}

/** A piece of a chat's answer. */
export function chatChunk(content: string, usage: object | null = null): object {
  const choices = content === "" ? [] : [{ index: 0, delta: { role: "assistant", content }, finish_reason: null }];
  return { id: "chat-1", object: "chat.completion.chunk", created: 1, model: "small", choices, usage };
}

const USUAL: Readonly<Record<string, Answer>> = {
  "/v1/chat/completions": ({ body }, response) => {
    const usage = { prompt_tokens: 7, completion_tokens: 21, total_tokens: 28 };
    if (body.stream === true) {
      const wanted = (body.stream_options as { include_usage?: boolean } | undefined)?.include_usage === true;
      sendEvents(response, [chatChunk("hello"), chatChunk(" world"), ...(wanted ? [chatChunk("", usage)] : [])]);
      response.end("data: [DONE]\n\n");
    } else {
      const message = { role: "assistant", content: "hello world" };
      const choices = [{ index: 0, finish_reason: "stop", message }];
      sendJson(response, { id: "chat-1", object: "chat.completion", created: 1, model: "small", choices, usage });
    }
  },
  "/v1/responses": ({ body }, response) => {
    const usage = { input_tokens: 8, output_tokens: 22, total_tokens: 30 };
    const output = [
      {
        type: "message",
        id: "m",
        role: "assistant",
        content: [{ type: "output_text", text: "hello", annotations: [] }],
      },
    ];
    const whole = { id: "r", object: "response", created_at: 1, status: "completed", model: "small", output, usage };
    if (body.stream === true) {
      sendEvents(response, [
        { type: "response.created", response: { ...whole, status: "in_progress", output: [], usage: null } },
        { type: "response.output_text.delta", item_id: "m", output_index: 0, content_index: 0, delta: "hello" },
        { type: "response.output_text.done", item_id: "m", output_index: 0, content_index: 0, text: "hello" },
        { type: "response.completed", response: whole },
      ]);
      response.end();
    } else sendJson(response, whole);
  },
  "/v1/embeddings": (_question, response) => {
    const data = [{ object: "embedding", index: 0, embedding: [0.5] }];
    sendJson(response, { object: "list", model: "small", data, usage: { prompt_tokens: 9, total_tokens: 9 } });
  },
  "/v1/messages": ({ body }, response) => {
    const message = {
      id: "m",
      type: "message",
      role: "assistant",
      model: "small",
      stop_reason: null,
      stop_sequence: null,
    };
    const usage = { input_tokens: 5, cache_creation_input_tokens: 3, cache_read_input_tokens: 2, output_tokens: 1 };
    if (body.stream === true) {
      sendEvents(response, [
        { type: "message_start", message: { ...message, content: [], usage } },
        { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
        { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "hello" } },
        { type: "content_block_stop", index: 0 },
        { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 23 } },
        { type: "message_stop" },
      ]);
      response.end();
    } else {
      const content = [{ type: "text", text: "hello" }];
      sendJson(response, { ...message, content, stop_reason: "end_turn", usage: { ...usage, output_tokens: 23 } });
    }
  },
  "/v1/models": (_question, response) => {
    sendJson(response, { object: "list", data: [{ id: "small", object: "model", created: 1, owned_by: "us" }] });
  },
};
