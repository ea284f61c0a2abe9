import { type Json, jsonOf, type Protocol, type Told } from "./protocols.ts";

/** What an answer has said of its cost, as far as it has come, and what was written. */
export class MeteredAnswer {
  readonly #protocol: Protocol;
  readonly #question: Json;
  readonly #onEnd: (told: Told, written: string) => void;
  #told: Told = {};
  #written = "";
  #hasEnded = false;

  /** `onEnd` is called once. */
  constructor(protocol: Protocol, question: Json, onEnd: (told: Told, written: string) => void) {
    this.#protocol = protocol;
    this.#question = question;
    this.#onEnd = onEnd;
  }

  /** A whole answer. */
  read(text: string): void {
    this.#take(jsonOf(text) ?? {});
    this.#end();
  }

  /** Passes events on, each when it is whole, but for those that the client has not asked for. */
  events(): TransformStream<Uint8Array, Uint8Array> {
    const decoder = new TextDecoder();
    const encoder = new TextEncoder();
    let rest = "";
    return new TransformStream({
      transform: (piece, controller) => {
        const events = (rest + decoder.decode(piece, { stream: true })).split(/(?<=\r?\n\r?\n)/);
        // A line end may come in two pieces: only what ends in one is whole.
        rest = /\n\r?\n$/.test(events.at(-1) ?? "") ? "" : (events.pop() ?? "");
        for (const event of events) if (this.#passes(event)) controller.enqueue(encoder.encode(event));
      },
      flush: (controller) => {
        rest += decoder.decode();
        if (rest !== "" && this.#passes(rest)) controller.enqueue(encoder.encode(rest));
        this.#end();
      },
      cancel: () => this.#end(), // the client has left, or the account has broken off
    });
  }

  #passes(event: string): boolean {
    const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
    const message = jsonOf(lines.map((line) => line.slice(5)).join("\n"));
    if (message === undefined) return true;
    this.#take(message);
    return this.#protocol.isUnasked?.(this.#question, message) !== true;
  }

  #take(message: Json): void {
    this.#told = { ...this.#told, ...this.#protocol.told(message) };
    this.#written += this.#protocol.written(message);
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#onEnd(this.#told, this.#written);
  }
}
