import type { IncomingMessage } from "node:http";
import { type Answer, badRequest, refuse } from "./problem.ts";

const MOST_BYTES = 16_384;

export type JsonBody = { readonly value: unknown } | { readonly refusal: Answer };

/** The JSON of a request's body, whatever type it says that it is of, or why it is refused. Rejects when its client leaves. */
export async function readJsonBody(request: IncomingMessage): Promise<JsonBody> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // What is left of it is not destroyed, since its client is still to be answered.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk);
    length += chunk.length;
    // fault: reads a body of any length
    if (length > MOST_BYTES) return { refusal: tooLong() };
  }
  try {
    return { value: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks))) };
  } catch {
    return { refusal: badRequest("The body must be JSON in UTF-8, and it is none.") };
  }
}

function tooLong(): Answer {
  return refuse({ status: 413, title: "Content too large", detail: `The body has at most ${MOST_BYTES} bytes.` });
}
