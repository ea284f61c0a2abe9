import { type Limits, UnknownBackendError, type Usage } from "@usage/counter-core";
import type { Admission } from "./admission.ts";
import { limitsWithCredit, limitsWithoutCredit } from "./grants/credit.ts";
import { LimitBook, type LimitsSource } from "./limits.ts";
import type { TrackedCounter } from "./tracked-counter.ts";

export interface AppliedLimitsParts<D extends string> {
  readonly counter: TrackedCounter<D>;
  readonly source: LimitsSource<D>;
  readonly defaults: Limits<D>;
  /** Has those that are being brought in. */
  readonly admission: Pick<Admission<D>, "asked" | "setLimits">;
  /** Hears whose limits may be other ones. */
  readonly onChange: (backends: readonly string[]) => void;
}

/** The limits that backends have: in the counter those of whoever is held or being brought in, in the book all others'. */
export class AppliedLimits<D extends string> {
  readonly #parts: AppliedLimitsParts<D>;
  #book: LimitBook<D>;

  /** @throws what is wrong with the limits. */
  constructor(parts: AppliedLimitsParts<D>) {
    this.#parts = parts;
    this.#book = new LimitBook(parts.counter.dimensions, parts.source, parts.defaults);
    this.#apply();
  }

  /** What one that is not held would be limited to. @throws what is wrong with them. */
  inBook(backend: string): Limits<D> {
    return this.#book.of(backend);
  }

  /** With what was granted on top. @throws what is wrong with the limits of one that is not held. */
  of(backend: string, credit: Partial<Usage<D>> | undefined): Limits<D> {
    return limitsWithCredit(this.#ofEveryPeriod(backend), credit);
  }

  /** @throws what is wrong with them; nothing is changed then. */
  set(backend: string, limits: Limits<D> | undefined): void {
    const { counter, admission, onChange } = this.#parts;
    this.#book.set(backend, limits);
    const applied = this.#book.of(backend);
    if (counter.has(backend)) counter.setLimits(backend, applied);
    admission.setLimits(backend, applied);
    onChange([backend]);
  }

  /** Replaces all of them, those of `set` as well. @throws what is wrong with one; the old ones stay then. */
  replace(source: LimitsSource<D>): void {
    const before = this.#book;
    this.#book = new LimitBook(this.#parts.counter.dimensions, source, before.defaults);
    try {
      this.#apply();
    } catch (error) {
      this.#book = before;
      throw error;
    }
  }

  #ofEveryPeriod(backend: string): Limits<D> {
    try {
      return limitsWithoutCredit(this.#parts.counter, backend);
    } catch (error) {
      if (!(error instanceof UnknownBackendError)) throw error;
      return this.#book.of(backend);
    }
  }

  /** All of them, or none where one is wrong. */
  #apply(): void {
    const { counter, admission, onChange } = this.#parts;
    const read = (backend: string): readonly [string, Limits<D>] => [backend, this.#book.of(backend)];
    const [held, asked] = [counter.backends().map(read), Array.from(admission.asked(), read)];
    // Not by `has`, which is a use: what is idle could never go where limits are read again and again.
    for (const [backend, limits] of held) counter.setLimits(backend, limits);
    for (const [backend, limits] of asked) admission.setLimits(backend, limits);
    onChange(counter.backends());
  }
}
