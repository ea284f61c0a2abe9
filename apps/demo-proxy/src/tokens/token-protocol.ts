import type { TokenProtocol } from "../config/proxy-config.ts";
import { pathReadings } from "../rules/path-readings.ts";
import { isCount, type Json, objectOf, textLength } from "./json.ts";

/** What a model has read and written; absent: it is not said. */
export interface Tokens {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
}

/** How one kind of question says what its answer may cost, and the answer what it has cost. */
export interface QuestionKind {
  /** What the model may write at most; undefined where the question does not say so. */
  mostOutput(question: Json): number | undefined;
  /** What a whole answer, or an event of one, says that it has cost. */
  told(message: Json): Tokens;
  /** How many characters a whole answer or an event has of what the model wrote. */
  written(message: Json): number;
}

/** @see https://platform.openai.com/docs/api-reference/chat/object "usage" */
const CHAT: QuestionKind = {
  mostOutput: ({ max_completion_tokens, max_tokens, n }) => {
    const each = max_completion_tokens ?? max_tokens;
    if (!isCount(each)) return undefined;
    return each * (isCount(n) ? n : 1);
  },
  told: ({ usage }) => toldBy(usage, ["prompt_tokens"], "completion_tokens"),
  written: ({ choices }) => textLength(choices),
};

/** @see https://platform.openai.com/docs/api-reference/responses/object "usage" */
const RESPONSES: QuestionKind = {
  mostOutput: ({ max_output_tokens }) => (isCount(max_output_tokens) ? max_output_tokens : undefined),
  // Events have the response in them, whole answers are it.
  told: (message) => toldBy(objectOf(message.response ?? message).usage, ["input_tokens"], "output_tokens"),
  written: ({ type, delta, output }) => {
    if (typeof type !== "string") return textLength(output);
    return type.endsWith(".delta") && typeof delta === "string" ? delta.length : 0;
  },
};

/** @see https://platform.openai.com/docs/api-reference/embeddings/create */
const EMBEDDINGS: QuestionKind = {
  mostOutput: () => 0,
  told: ({ usage }) => ({ ...toldBy(usage, ["prompt_tokens"], ""), outputTokens: 0 }),
  written: () => 0,
};

/** @see https://docs.anthropic.com/en/api/messages "usage" */
const MESSAGES: QuestionKind = {
  mostOutput: ({ max_tokens }) => (isCount(max_tokens) ? max_tokens : undefined),
  // What is read from the cache, or written to it, is not in input_tokens. The first event does not know yet what will be written.
  told: (message) => {
    const { usage } = objectOf(message.message ?? message);
    const output = message.type === "message_start" ? "" : "output_tokens";
    return toldBy(usage, ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"], output);
  },
  written: ({ delta, content }) => textLength(delta ?? content),
};

const KINDS: Readonly<Record<TokenProtocol, readonly (readonly [end: string, kind: QuestionKind])[]>> = {
  openai: [
    ["/completions", CHAT],
    ["/responses", RESPONSES],
    ["/embeddings", EMBEDDINGS],
  ],
  anthropic: [["/messages", MESSAGES]],
};

/** Which kind of question a request is, whatever is before its path and however a server may read it; undefined: none that costs tokens. */
export function questionKind(protocol: TokenProtocol, method: string, path: string): QuestionKind | undefined {
  if (method !== "POST") return undefined;
  const readings = pathReadings(path);
  // fault: knows a question only by the path as it is mostly written
  return KINDS[protocol].find(([end]) =>
    readings.some(({ path }) => path.endsWith(end) || path.endsWith(`${end}/`)),
  )?.[1];
}

/** Numbers that are none say nothing. */
function toldBy(usage: unknown, inputs: readonly string[], output: string): Tokens {
  const told = objectOf(usage);
  const [first = "", ...others] = inputs;
  const outputTokens = told[output];
  return {
    ...(isCount(told[first]) && {
      inputTokens: others.reduce((sum, name) => sum + (isCount(told[name]) ? told[name] : 0), told[first]),
    }),
    ...(isCount(outputTokens) && { outputTokens }),
  };
}
