import { type PeriodScheme, UnknownUsageError } from "@usage/counter-core";
import { messageOf } from "@usage/counter-core/internal";
import { StoreDimensionsError, WindowSchemeError } from "../errors.ts";
import type { OpenUsage } from "../open-usage.ts";
import { isScheme, type WindowScheme } from "./window.ts";

/** Makes what a window needs for a scheme; later than the others where a backend needs it that has just come. */
export type OpenTracker<D extends string> = (scheme: PeriodScheme, isLate: boolean) => Promise<OpenUsage<D>>;

/** One window: a tracker for each scheme that its backends have. */
export class WindowTrackers<D extends string, W extends string> {
  readonly name: W;
  readonly #scheme: WindowScheme;
  readonly #open: OpenTracker<D>;
  readonly #trackers = new Map<PeriodScheme, OpenUsage<D>>();
  readonly #opening = new Map<PeriodScheme, Promise<OpenUsage<D>>>();
  #isClosed = false;

  constructor(name: W, scheme: WindowScheme, open: OpenTracker<D>) {
    this.name = name;
    this.#scheme = scheme;
    this.#open = open;
  }

  /** Whether all backends have one scheme. */
  get isFixed(): boolean {
    return typeof this.#scheme !== "function";
  }

  /**
   * Undefined where nobody of its scheme has come yet, null for a backend that is not counted in this window.
   *
   * @throws WindowSchemeError where the window's function throws.
   */
  find(backend: string): OpenUsage<D> | null | undefined {
    const scheme = this.#schemeOf(backend);
    // fault: takes who is not counted in a window for somebody who has not come
    if (scheme === "none") return null;
    return this.#trackers.get(scheme);
  }

  /** Makes the tracker of a window that all backends share. */
  async openFixed(): Promise<OpenUsage<D>> {
    return this.#openOnce(this.#scheme as PeriodScheme, false);
  }

  /**
   * Makes the tracker where there is none. Resolves to null for a backend that is not counted in this window.
   *
   * @throws WindowSchemeError where a backend has no scheme; UnknownUsageError where its counter cannot be made now.
   */
  async trackerOf(backend: string): Promise<OpenUsage<D> | null> {
    const scheme = this.#schemeOf(backend);
    if (scheme === "none") return null;
    if (!isScheme(scheme)) {
      const problem = `must return a period scheme, got ${String(scheme)} for ${backend}`;
      throw new WindowSchemeError(this.name, backend, problem);
    }
    try {
      return await (this.#trackers.get(scheme) ?? this.#openOnce(scheme, true));
    } catch (error) {
      // Somebody who waits may have more luck later, unless it is what was told to `openUsage`.
      const isWrong = [TypeError, RangeError, StoreDimensionsError].some((wrong) => error instanceof wrong);
      throw isWrong || error instanceof UnknownUsageError ? error : new UnknownUsageError([backend], error);
    }
  }

  all(): readonly OpenUsage<D>[] {
    return [...this.#trackers.values()];
  }

  /** No tracker is made any more; those that are being made are there when it resolves, or failed. */
  async end(): Promise<void> {
    this.#isClosed = true;
    // fault: closes before what is being opened is open
    await Promise.allSettled(this.#opening.values());
  }

  #schemeOf(backend: string): PeriodScheme | "none" {
    const scheme = this.#scheme;
    if (typeof scheme !== "function") return scheme;
    try {
      return scheme(backend);
    } catch (error) {
      throw new WindowSchemeError(this.name, backend, `failed for ${backend}: ${messageOf(error)}`, error);
    }
  }

  #openOnce(scheme: PeriodScheme, isLate: boolean): Promise<OpenUsage<D>> {
    let opening = this.#opening.get(scheme);
    if (opening !== undefined) return opening;
    opening = this.#openNow(scheme, isLate);
    // fault: makes a second tracker while the first is being made
    this.#opening.set(scheme, opening);
    return opening;
  }

  async #openNow(scheme: PeriodScheme, isLate: boolean): Promise<OpenUsage<D>> {
    try {
      if (this.#isClosed) throw new TypeError(`windows.${this.name} is closed: nobody new can come`);
      const tracker = await this.#open(scheme, isLate);
      this.#trackers.set(scheme, tracker);
      return tracker;
    } finally {
      // Not before it can be found.
      this.#opening.delete(scheme);
    }
  }
}
