import { StringDecoder } from "node:string_decoder";
import { type Json, jsonOf } from "./json.ts";
import type { QuestionKind, Tokens } from "./token-protocol.ts";

/** Reads what an answer says of its cost from a copy of what passes. */
export interface AnswerReader {
  push(chunk: Buffer): void;
  /** What it has said so far; to be asked once there is no more of it. */
  end(): Tokens & { /** Characters that the model wrote, as far as they could be read. */ readonly written: number };
}

/** The most that is kept of one event, and of an answer that is no stream. Of a longer one the end is kept. */
const EVENT_CHARACTERS = 1_048_576;
const ANSWER_BYTES = 262_144;

/** Server-sent events, each in one line of data. */
export class EventReader implements AnswerReader {
  readonly #kind: QuestionKind;
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";
  #told: Tokens = {};
  #written = 0;

  constructor(kind: QuestionKind) {
    this.#kind = kind;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > EVENT_CHARACTERS) this.#rest = "";
    for (const line of lines) this.#read(line);
  }

  end(): Tokens & { readonly written: number } {
    this.#read(this.#rest);
    this.#rest = "";
    return { ...this.#told, written: this.#written };
  }

  #read(line: string): void {
    if (!line.startsWith("data:")) return;
    const message = jsonOf(line.slice(5));
    if (message === undefined) return;
    this.#told = { ...this.#told, ...this.#kind.told(message) };
    this.#written += this.#kind.written(message);
  }
}

/** One JSON text. */
export class JsonReader implements AnswerReader {
  readonly #kind: QuestionKind;
  #chunks: Buffer[] = [];
  #kept = 0;
  #isWhole = true;

  constructor(kind: QuestionKind) {
    this.#kind = kind;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#kept += chunk.length;
    while (this.#chunks.length > 1 && this.#kept - (this.#chunks[0]?.length ?? 0) >= ANSWER_BYTES) {
      this.#kept -= this.#chunks.shift()?.length ?? 0;
      this.#isWhole = false;
    }
  }

  end(): Tokens & { readonly written: number } {
    const text = Buffer.concat(this.#chunks).toString();
    this.#chunks = [];
    const message = this.#isWhole ? jsonOf(text) : undefined;
    if (message !== undefined) return { ...this.#kind.told(message), written: this.#kind.written(message) };
    const usage = lastUsageIn(text);
    return { ...(usage && this.#kind.told({ usage })), written: 0 };
  }
}

/** What is said of usage at the end of a long answer. In a text of it, there would be backslashes. */
function lastUsageIn(text: string): Json | undefined {
  const at = text.lastIndexOf('"usage"');
  const start = at === -1 ? -1 : text.indexOf("{", at);
  if (start === -1) return undefined;
  let depth = 0;
  for (let end = start; end < text.length; end++) {
    if (text[end] === "{") depth += 1;
    else if (text[end] === "}") depth -= 1;
    if (depth === 0) return jsonOf(text.slice(start, end + 1));
  }
  return undefined;
}
