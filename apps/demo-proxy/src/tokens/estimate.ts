import type { BodyLength } from "../proxy/http/framing.ts";
import { isCount, jsonOf } from "./json.ts";
import type { QuestionKind } from "./token-protocol.ts";

/** How much of a question is read before it is sent on: nearly all of them are shorter. */
export const HEAD_BYTES = 131_072;

/** What an answer is held for whose question does not say how long it may be. */
const USUAL_OUTPUT = 4_096;

/** About four characters a token. */
export function tokensOf(characters: number): number {
  return Math.ceil(characters / 4);
}

/** What a question may cost. */
export interface Estimate {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/**
 * What a question may cost at most, by its length and by what it says.
 *
 * @param head its first bytes: all of them, or `HEAD_BYTES` and perhaps some more.
 */
export function estimateOf(kind: QuestionKind, head: Buffer, isWhole: boolean, bodyLength: BodyLength): Estimate {
  const bytes = bodyLength === "chunked" ? head.length : bodyLength;
  const said = isWhole ? kind.mostOutput(jsonOf(head.toString()) ?? {}) : largestIn(head, kind);
  return { inputTokens: tokensOf(bytes), outputTokens: said !== undefined && isCount(said) ? said : USUAL_OUTPUT };
}

/** Of a question that has not come as a whole, the largest limit that can be seen. In a text of it, there would be backslashes. */
function largestIn(head: Buffer, kind: QuestionKind): number | undefined {
  const limits = Array.from(head.toString("latin1").matchAll(LIMIT), ([, limit]) => Number(limit)).filter(isCount);
  if (limits.length === 0) return kind.mostOutput({});
  return Math.max(...limits);
}

const LIMIT = /"max_(?:completion_|output_)?tokens"\s*:\s*(\d+)/g;
