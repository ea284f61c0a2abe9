/** What a question or an answer is worth; absent: it is not said. */
export interface Told {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
}

/** A JSON object of which nothing is known. */
export type Json = { readonly [name: string]: unknown };

/** How one kind of question says what it may cost, and its answer what it has cost. */
export interface Protocol {
  readonly provider: "openai" | "anthropic";
  /** What the model may write at most, where the question says so. */
  readonly maxOutput: (question: Json) => unknown;
  /** What the model reads. */
  readonly prompt: (question: Json) => unknown;
  /** What a whole answer, or an event of one, says that it has cost. */
  readonly told: (message: Json) => Told;
  /** What the model wrote, in a whole answer or in an event. */
  readonly written: (message: Json) => string;
  /** The question as it is sent, so that the answer says what it has cost. */
  readonly asked?: (question: Json) => Json;
  /** Whether an event is there only because of that. */
  readonly isUnasked?: (question: Json, event: Json) => boolean;
}

const CHAT: Protocol = {
  provider: "openai",
  maxOutput: ({ max_completion_tokens, max_tokens, n }) => {
    const each = max_completion_tokens ?? max_tokens;
    return typeof each === "number" && typeof n === "number" ? each * n : each;
  },
  prompt: ({ messages, tools, functions, response_format }) => [messages, tools, functions, response_format],
  told: ({ usage }) => toldBy(usage, ["prompt_tokens"], "completion_tokens"),
  written: ({ choices }) => textsIn(objectsIn(choices).map(({ delta, message }) => delta ?? message)),
  asked: (question) => {
    const { stream, stream_options } = question;
    return stream === true
      ? { ...question, stream_options: { ...objectOf(stream_options), include_usage: true } }
      : question;
  },
  isUnasked: ({ stream_options }, { choices, usage }) => {
    const isExtra = Array.isArray(choices) && choices.length === 0 && usage !== null && usage !== undefined;
    return isExtra && objectOf(stream_options).include_usage !== true;
  },
};

const RESPONSES: Protocol = {
  provider: "openai",
  maxOutput: ({ max_output_tokens }) => max_output_tokens,
  prompt: ({ instructions, input, tools, text }) => [instructions, input, tools, text],
  // Events have the response in them, whole answers are it.
  told: (message) => toldBy(objectOf(message.response ?? message).usage, ["input_tokens"], "output_tokens"),
  written: ({ type, delta, output }) => {
    if (typeof type === "string") return type.endsWith(".delta") && typeof delta === "string" ? delta : "";
    return textsIn(output);
  },
};

const EMBEDDINGS: Protocol = {
  provider: "openai",
  maxOutput: () => 0,
  prompt: ({ input }) => input,
  told: ({ usage }) => ({ ...toldBy(usage, ["prompt_tokens"], ""), outputTokens: 0 }),
  written: () => "",
};

const MESSAGES: Protocol = {
  provider: "anthropic",
  maxOutput: ({ max_tokens }) => max_tokens,
  prompt: ({ system, messages, tools }) => [system, messages, tools],
  // What is read from the cache, or written to it, is not in input_tokens. The first event does not know yet what will be written.
  told: (message) => {
    const { usage } = objectOf(message.message ?? message);
    const output = message.type === "message_start" ? "" : "output_tokens";
    return toldBy(usage, ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"], output);
  },
  written: ({ delta, content }) => textsIn(delta ?? content),
};

export const PROTOCOLS: ReadonlyMap<string, Protocol> = new Map([
  ["/v1/chat/completions", CHAT],
  ["/v1/responses", RESPONSES],
  ["/v1/embeddings", EMBEDDINGS],
  ["/v1/messages", MESSAGES],
]);

/** A JSON text as an object; undefined for anything else. */
export function jsonOf(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Numbers that are none say nothing. */
function toldBy(usage: unknown, inputs: readonly string[], output: string): Told {
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

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Where the text of an answer is, whatever it is part of. */
const TEXTS = new Set(["content", "text", "thinking", "arguments", "partial_json", "refusal", "reasoning_content"]);

/** All texts in it: of parts, tool calls and reasoning, too. */
function textsIn(value: unknown, name = ""): string {
  if (typeof value === "string") return TEXTS.has(name) ? value : "";
  if (Array.isArray(value)) return value.map((each) => textsIn(each, name)).join("");
  return Object.entries(objectOf(value))
    .map(([name, each]) => textsIn(each, name))
    .join("");
}

function objectsIn(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function objectOf(value: unknown): Json {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Json {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
