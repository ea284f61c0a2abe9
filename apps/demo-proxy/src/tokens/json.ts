/** A JSON object of which nothing is known. */
export type Json = { readonly [name: string]: unknown };

/** A JSON text as an object; undefined for anything else. */
export function jsonOf(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function objectOf(value: unknown): Json {
  return isObject(value) ? value : {};
}

/** Beyond it, a number of tokens is none: it would be more than anybody has. */
const MOST = 2 ** 40;

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MOST;
}

/** Where the text of an answer is, whatever it is part of. */
const TEXTS: ReadonlySet<string> = new Set([
  "arguments",
  "content",
  "partial_json",
  "reasoning_content",
  "refusal",
  "text",
  "thinking",
]);

/** The length of all texts in a part of an answer: of tool calls and reasoning, too. */
export function textLength(value: unknown, name = ""): number {
  if (typeof value === "string") return TEXTS.has(name) ? value.length : 0;
  if (typeof value !== "object" || value === null) return 0;
  let length = 0;
  if (Array.isArray(value)) for (const each of value) length += textLength(each, name);
  else for (const [key, each] of Object.entries(value)) length += textLength(each, key);
  return length;
}

function isObject(value: unknown): value is Json {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
