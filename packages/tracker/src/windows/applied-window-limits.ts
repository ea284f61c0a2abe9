import type { Limits } from "@usage/counter-core";
import type { WindowTracker } from "./window-events.ts";
import { type WindowLimits, WindowLimitsBook, type WindowLimitsSource } from "./window-limits.ts";
import type { WindowSet } from "./window-set.ts";

export interface AppliedWindowLimitsParts<D extends string, W extends string> {
  readonly windows: readonly W[];
  /** What may be limited. */
  readonly dimensions: () => readonly D[];
  readonly source: WindowLimitsSource<D, W>;
  readonly defaults: WindowLimits<D, W>;
  /** The trackers that there are, by then. */
  readonly set: () => Pick<WindowSet<D, W>, "all" | "of">;
}

/** The limits that backends have in each window: those of the book, in the trackers that there are. */
export class AppliedWindowLimits<D extends string, W extends string> {
  readonly #parts: AppliedWindowLimitsParts<D, W>;
  #book: WindowLimitsBook<D, W>;

  /** @throws what is wrong with the limits. */
  constructor(parts: AppliedWindowLimitsParts<D, W>) {
    this.#parts = parts;
    this.#book = this.#bookOf(parts.source, parts.defaults);
  }

  /** @throws what is wrong with them. */
  of(backend: string, window: W): Limits<D> {
    return this.#book.of(backend, window);
  }

  /** @throws what is wrong with them; nothing is changed then. */
  set(backend: string, limits: WindowLimits<D, W> | undefined): void {
    const trackers = this.#parts.set().of(backend);
    this.#book.set(backend, limits);
    for (const { tracker, window } of trackers) tracker.setLimits(backend, this.#book.of(backend, window));
  }

  /** Replaces all of them, those of `set` as well. @throws what is wrong with one; the old ones stay then. */
  replace(source: WindowLimitsSource<D, W>): void {
    const before = this.#book;
    const apply = ({ tracker, window }: WindowTracker<D, W>): void => {
      tracker.updateLimits((backend) => this.#book.of(backend, window));
    };
    const applied: WindowTracker<D, W>[] = [];
    this.#book = this.#bookOf(source, before.defaults);
    try {
      for (const one of this.#parts.set().all()) {
        apply(one);
        applied.push(one);
      }
    } catch (error) {
      this.#book = before;
      // fault: leaves new limits in the windows before the one that has a wrong one
      applied.forEach(apply);
      throw error;
    }
  }

  #bookOf(limits: WindowLimitsSource<D, W>, defaults: WindowLimits<D, W>): WindowLimitsBook<D, W> {
    const { windows, dimensions } = this.#parts;
    return new WindowLimitsBook({ windows, dimensions, limits, defaults });
  }
}
