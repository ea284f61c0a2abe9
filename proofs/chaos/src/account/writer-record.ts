import { Book, type BookEntry } from "../fleet/book.ts";
import type { Silence, StepReport } from "../fleet/messages.ts";

/**
 * How much older than the last whole exchange a reply may be: what that did not ask for anew (250 ms), and its own two calls, each
 * of a second at most.
 */
const REPLY_AGE_MS = 2_500;

/** What one writer has told of itself: bounds of what it counted, however it ended. */
export class WriterRecord {
  readonly writer: string;
  /** At most this is recorded. */
  readonly planned: Book = new Book();
  /** At least this is stored. */
  readonly stored: Book = new Book();
  /** What others stored of it after its death, as far as it had not told of it. */
  readonly inherited: Book = new Book();
  /** Exactly this is recorded, of a writer that came to rest. */
  recorded: Book | undefined;
  /** How the process ended; absent while it runs. */
  end: "killed" | "stopped" | undefined;
  /** Between two exchanges of all counts that were seconds apart. */
  readonly silences: Silence[] = [];
  #isReconciled = false;
  #last: StepReport | undefined;
  /** Of periods that are over for this writer. */
  readonly #pushedBefore = new Book();
  #sharedAtMs: number;

  /** @param startedAtMs When it had exchanged counts for the first time. */
  constructor(writer: string, startedAtMs: number) {
    this.writer = writer;
    this.#sharedAtMs = startedAtMs;
  }

  take(report: StepReport): void {
    if (this.#last !== undefined) {
      const { period, step } = this.#last;
      if (!report.isLastRecorded) for (const [backend, usage] of step) this.planned.subtract(period, backend, usage);
      if (period !== report.period) {
        for (const [, backend, dimension, amount] of this.#pushedOf(this.#last, report.isLastRecorded)) {
          this.#pushedBefore.add(period, backend, { [dimension]: amount });
        }
      }
    }
    for (const [backend, usage] of report.step) this.planned.add(report.period, backend, usage);
    this.#last = report;
    this.#sharedAtMs = report.sharedAtMs ?? this.#sharedAtMs;
  }

  takeStored(entries: readonly BookEntry[]): void {
    for (const [period, backend, dimension, amount] of entries) {
      this.stored.raise(period, backend, { [dimension]: amount });
    }
  }

  /** Of a dead writer: what it had shared must be in the store by now, as far as Redis has not lost it. No later loss changes that. */
  reconcile(stored: Book): void {
    for (const [period, backend, dimension, amount] of stored.entries()) {
      const more = amount - this.stored.get(period, backend, dimension);
      if (more > 0) this.inherited.add(period, backend, { [dimension]: more });
    }
    this.takeStored(stored.entries());
    this.#isReconciled = true;
  }

  get isReconciled(): boolean {
    return this.#isReconciled;
  }

  /** At least this is recorded: all but the last step, which nobody knows of. */
  atLeastRecorded(): Book {
    if (this.recorded !== undefined) return this.recorded;
    const book = this.planned.copy();
    for (const [backend, usage] of this.#last?.step ?? []) book.subtract(this.#last?.period ?? "", backend, usage);
    return book;
  }

  /** At least this was in Redis at some time from `pushedSinceMs` on. */
  pushed(): Book {
    const book = this.#pushedBefore.copy();
    if (this.#last === undefined) return book;
    for (const [period, backend, dimension, amount] of this.#pushedOf(this.#last, true)) {
      book.add(period, backend, { [dimension]: amount });
    }
    return book;
  }

  get pushedSinceMs(): number {
    return this.#sharedAtMs - REPLY_AGE_MS;
  }

  #pushedOf({ period, step, unpushed }: StepReport, isStepPlanned: boolean): readonly BookEntry[] {
    const book = this.planned.copy();
    if (isStepPlanned) for (const [backend, usage] of step) book.subtract(period, backend, usage);
    for (const [backend, usage] of Object.entries(unpushed)) book.subtract(period, backend, usage);
    return book.entries().filter((entry) => entry[0] === period && entry[3] > 0);
  }
}
