import type { IncomingHttpHeaders } from "node:http";
import type { Usage } from "@usage/counter-core";
import type { Reservation } from "../proxy/admission/reservation.ts";
import type { RequestMeter } from "../rules/request-meter.ts";
import { type AnswerReader, EventReader, JsonReader } from "./answer-reader.ts";
import { tokensOf } from "./estimate.ts";
import type { Question } from "./question.ts";
import type { QuestionKind } from "./token-protocol.ts";

/**
 * Counts what a model has read and written, once the answer is over: as the answer says it; where it does not, by what was asked and by
 * what it wrote as far as that could be read, else as it was estimated. Answers that are refusals cost nothing.
 */
export class TokenMeter implements RequestMeter {
  readonly readsAnswer = true;
  readonly #question: Question;
  readonly #reservation: Pick<Reservation, "count">;
  readonly #onEstimated: () => void;
  #reader: AnswerReader | undefined;
  #isWritten = false;
  #isOver = false;

  /** @param onEstimated is told of an answer that does not say what it has cost. */
  constructor(question: Question, reservation: Pick<Reservation, "count">, onEstimated: () => void) {
    this.#question = question;
    this.#reservation = reservation;
    this.#onEstimated = onEstimated;
  }

  written(): void {
    this.#isWritten = true;
  }

  answered(status: number, headers: IncomingHttpHeaders): void {
    // fault: counts tokens of what was refused
    if (status < 200 || status > 299) this.#isOver = true;
    else this.#reader = readerOf(this.#question.kind, headers);
  }

  data(chunk: Buffer): void {
    this.#reader?.push(chunk);
  }

  over(): void {
    if (this.#isOver || !this.#isWritten) return;
    this.#isOver = true;
    const { estimate } = this.#question;
    const { inputTokens, outputTokens, written = 0 } = this.#reader?.end() ?? {};
    // fault: counts nothing where a provider says nothing
    const output = written > 0 ? tokensOf(written) : estimate.outputTokens;
    if (inputTokens === undefined || outputTokens === undefined) this.#onEstimated();
    const counted = { inputTokens: inputTokens ?? estimate.inputTokens, outputTokens: outputTokens ?? output };
    this.#reservation.count(counted as Partial<Usage>);
  }
}

/** Undefined where the answer cannot be read. */
function readerOf(kind: QuestionKind, headers: IncomingHttpHeaders): AnswerReader | undefined {
  const { "content-type": type = "", "content-encoding": encoding = "identity" } = headers;
  if (encoding.toLowerCase() !== "identity") return undefined;
  return type.toLowerCase().startsWith("text/event-stream") ? new EventReader(kind) : new JsonReader(kind);
}
