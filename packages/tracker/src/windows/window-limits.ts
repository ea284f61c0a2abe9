import { assertBackendName, type Limits } from "@usage/counter-core";
import { isDictionary, isThenable, messageOf } from "@usage/counter-core/internal";
import { type Copied, copier } from "../limits.ts";

/** Limits of one backend by window; a window that is absent has none. */
export type WindowLimits<D extends string, W extends string> = { readonly [window in W]?: Limits<D> };

/** Limits by backend and window: an object, a Map or a function. A backend that is not there has the default ones. */
export type WindowLimitsSource<D extends string, W extends string> =
  | Readonly<Record<string, WindowLimits<D, W>>>
  | ReadonlyMap<string, WindowLimits<D, W>>
  | ((backend: string) => WindowLimits<D, W> | undefined);

interface WindowLimitsParts<D extends string, W extends string> {
  readonly windows: readonly W[];
  /** What may be limited. */
  readonly dimensions: () => readonly D[];
  readonly limits: WindowLimitsSource<D, W>;
  readonly defaults: WindowLimits<D, W>;
}

const NONE = {};

/** Which limits a backend has in each window. */
export class WindowLimitsBook<D extends string, W extends string> {
  readonly defaults: WindowLimits<D, W>;
  readonly #windows: readonly W[];
  readonly #copied: Copied<D>;
  /** A plan is kept once, however many backends have it. */
  readonly #plans = new WeakMap<WindowLimits<D, W>, WindowLimits<D, W>>();
  readonly #source: (backend: string) => WindowLimits<D, W> | undefined;
  /** Of single backends, in place of what the source says. */
  readonly #own = new Map<string, WindowLimits<D, W> | undefined>();

  /**
   * @throws TypeError for what is no function, object or Map of objects; RangeError for a window that there is not; what is wrong with
   * the limits of a window: UnknownDimensionError, AmountError or TypeError, whose message begins with the window.
   */
  constructor({ windows, dimensions, limits, defaults }: WindowLimitsParts<D, W>) {
    this.#windows = windows;
    this.#copied = copier(dimensions);
    this.defaults = this.#copyOf("the default limits", defaults);
    this.#source = typeof limits === "function" ? limits : this.#byName(limits);
  }

  /** @throws what the constructor throws, for what the source's function returns. */
  of(backend: string, window: W): Limits<D> {
    const limits = this.#own.has(backend) ? this.#own.get(backend) : this.#source(backend);
    return this.ofWindow(backend, limits, window);
  }

  /** What limits mean for a backend in a window. @throws like `of`. */
  ofWindow(backend: string, limits: WindowLimits<D, W> | undefined, window: W): Limits<D> {
    if (limits === undefined) return this.defaults[window] ?? NONE;
    this.#assertWindows(backend, limits);
    return this.#limitsIn(backend, limits, window) ?? NONE;
  }

  /** Replaces the limits of one backend; undefined: it has the default ones. @throws NameError, and like the constructor. */
  set(backend: string, limits: WindowLimits<D, W> | undefined): void {
    assertBackendName(backend);
    this.#own.set(backend, limits === undefined ? undefined : this.#copyOf(backend, limits));
  }

  #byName(
    source: Exclude<WindowLimitsSource<D, W>, (backend: string) => unknown>,
  ): (backend: string) => WindowLimits<D, W> | undefined {
    const isMap = source instanceof Map;
    if (!isMap && !isDictionary(source)) {
      throw new TypeError("limits must be a function, an object or a Map, by the backend's name");
    }
    const copy = new Map<string, WindowLimits<D, W>>();
    const entries: Iterable<[string, WindowLimits<D, W>]> = isMap ? source : Object.entries(source);
    for (const [backend, limits] of entries) {
      assertBackendName(backend);
      copy.set(backend, this.#copyOf(backend, limits));
    }
    return (backend) => copy.get(backend);
  }

  /** What is read of limits, which the caller may change later. */
  #copyOf(backend: string, limits: WindowLimits<D, W>): WindowLimits<D, W> {
    this.#assertWindows(backend, limits);
    const copy: { [window in W]?: Limits<D> } = {};
    for (const window of this.#windows) {
      const ofWindow = this.#limitsIn(backend, limits, window);
      if (ofWindow !== undefined) copy[window] = ofWindow;
    }
    const known = this.#plans.get(limits);
    if (known !== undefined && this.#windows.every((window) => known[window] === copy[window])) return known;
    this.#plans.set(limits, copy);
    return copy;
  }

  #limitsIn(backend: string, limits: WindowLimits<D, W>, window: W): Limits<D> | undefined {
    const ofWindow = limits[window];
    if (ofWindow === undefined) return undefined;
    try {
      return this.#copied(backend, ofWindow);
    } catch (error) {
      // fault: does not say in which window a limit is wrong
      if (error instanceof Error) error.message = `window ${window}: ${messageOf(error)}`;
      throw error;
    }
  }

  #assertWindows(backend: string, limits: WindowLimits<D, W>): void {
    // A promise names no window, and would open every limit.
    // fault: takes limits by window that are a promise for none
    if (!isDictionary(limits) || isThenable(limits)) {
      throw new TypeError(`limits of ${backend} must be an object of limits, by window`);
    }
    const unknown = Object.keys(limits).find((name) => !this.#windows.includes(name as W));
    if (unknown !== undefined) {
      throw new RangeError(
        `limits of ${backend} name the window ${JSON.stringify(unknown)}; the windows are ${this.#windows.join(", ")}`,
      );
    }
  }
}
