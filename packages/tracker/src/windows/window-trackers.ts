import type { PeriodScheme } from "@usage/counter-core";
import type { OpenUsage } from "../open-usage.ts";
import type { WindowScheme } from "./window.ts";

/** One window: a tracker for each scheme that its backends have. */
export class WindowTrackers<D extends string, W extends string> {
  readonly name: W;
  /** Whether all backends have one scheme. */
  readonly isFixed: boolean;
  readonly #schemeOf: (backend: string) => PeriodScheme;
  readonly #open: (scheme: PeriodScheme) => Promise<OpenUsage<D>>;
  readonly #trackers = new Map<PeriodScheme, OpenUsage<D>>();
  readonly #opening = new Map<PeriodScheme, Promise<OpenUsage<D>>>();

  constructor(name: W, scheme: WindowScheme, open: (scheme: PeriodScheme) => Promise<OpenUsage<D>>) {
    this.name = name;
    this.isFixed = typeof scheme !== "function";
    this.#schemeOf = typeof scheme === "function" ? scheme : () => scheme;
    this.#open = open;
  }

  /** Undefined where nobody of its scheme has come yet. */
  find(backend: string): OpenUsage<D> | undefined {
    return this.#trackers.get(this.#schemeOf(backend));
  }

  /** Makes the tracker where there is none. @throws TypeError where a backend has no scheme. */
  async trackerOf(backend: string): Promise<OpenUsage<D>> {
    const scheme = this.#schemeOf(backend);
    if (typeof (scheme as Partial<PeriodScheme> | undefined)?.at !== "function") {
      throw new TypeError(`windows.${this.name} must return a period scheme, got ${String(scheme)} for ${backend}`);
    }
    const known = this.#trackers.get(scheme);
    if (known !== undefined) return known;
    let opening = this.#opening.get(scheme);
    if (opening === undefined) {
      opening = this.#open(scheme).finally(() => this.#opening.delete(scheme));
      this.#opening.set(scheme, opening);
      // Whoever waits hears of it.
      opening.then((tracker) => void this.#trackers.set(scheme, tracker)).catch(() => {});
    }
    return opening;
  }

  all(): readonly OpenUsage<D>[] {
    return [...this.#trackers.values()];
  }
}
