import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { onTestFinished } from "vitest";

export interface Question {
  /** The API key that it was asked with. */
  readonly key: string;
  readonly body: { readonly stream_options?: { readonly include_usage?: boolean } };
}

export interface FakeLlm {
  readonly url: string;
  readonly questions: readonly Question[];
}

/** An OpenAI-compatible upstream whose `answer` writes the events; stopped after the test. */
export async function startFakeLlm(answer: (response: ServerResponse) => Promise<void> | void): Promise<FakeLlm> {
  const questions: Question[] = [];
  const server = createServer(async (request, response) => {
    const body = (await json(request)) as Question["body"];
    questions.push({ key: request.headers.authorization?.replace("Bearer ", "") ?? "", body });
    response.setHeader("content-type", "text/event-stream");
    await answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, questions };
}

/** One piece of the answer's text. */
export function textEvent(text: string): string {
  return `data: ${JSON.stringify({ choices: [{ delta: { content: text } }], usage: null })}\n\n`;
}

/** The end of a stream: what the answer has cost. */
export function usageEvents(prompt_tokens: number, completion_tokens: number): string {
  return `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens, completion_tokens } })}\n\ndata: [DONE]\n\n`;
}
