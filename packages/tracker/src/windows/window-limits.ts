import { assertBackendName, type Limits } from "@usage/counter-core";
import { isDictionary } from "@usage/counter-core/internal";

/** Limits of one backend by window; a window that is absent has none. */
export type WindowLimits<D extends string, W extends string> = { readonly [window in W]?: Limits<D> };

/** Limits by backend and window: an object, a Map or a function. A backend that is not there has the default ones. */
export type WindowLimitsSource<D extends string, W extends string> =
  | Readonly<Record<string, WindowLimits<D, W>>>
  | ReadonlyMap<string, WindowLimits<D, W>>
  | ((backend: string) => WindowLimits<D, W> | undefined);

/** Which limits a backend has in each window. */
export class WindowLimitsBook<D extends string, W extends string> {
  readonly #windows: readonly string[];
  readonly #defaults: WindowLimits<D, W>;
  readonly #source: (backend: string) => WindowLimits<D, W> | undefined;
  /** Of single backends, in place of what the source says. */
  readonly #own = new Map<string, WindowLimits<D, W> | undefined>();

  /** @throws TypeError for what is no function, object or Map of objects; RangeError for a window that there is not. */
  constructor(windows: readonly W[], source: WindowLimitsSource<D, W>, defaults: WindowLimits<D, W>) {
    this.#windows = windows;
    this.#defaults = this.#checked("the default limits", defaults);
    this.#source = typeof source === "function" ? source : this.#byName(source);
  }

  /** @throws what the constructor throws, for what the source's function returns. */
  of(backend: string, window: W): Limits<D> {
    const limits = this.#own.has(backend) ? this.#own.get(backend) : this.#source(backend);
    return this.ofWindow(backend, limits, window);
  }

  /** What limits mean for a backend in a window. @throws like `of`. */
  ofWindow(backend: string, limits: WindowLimits<D, W> | undefined, window: W): Limits<D> {
    return (limits === undefined ? this.#defaults : this.#checked(backend, limits))[window] ?? {};
  }

  /** Replaces the limits of one backend; undefined: it has the default ones. @throws like the constructor. */
  set(backend: string, limits: WindowLimits<D, W> | undefined): void {
    assertBackendName(backend);
    this.#own.set(backend, limits === undefined ? undefined : { ...this.#checked(backend, limits) });
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
      copy.set(backend, { ...this.#checked(backend, limits) });
    }
    return (backend) => copy.get(backend);
  }

  #checked(backend: string, limits: WindowLimits<D, W>): WindowLimits<D, W> {
    if (!isDictionary(limits)) throw new TypeError(`limits of ${backend} must be an object of limits, by window`);
    const unknown = Object.keys(limits).find((name) => !this.#windows.includes(name));
    if (unknown !== undefined) {
      throw new RangeError(
        `limits of ${backend} name the window ${JSON.stringify(unknown)}; the windows are ${this.#windows.join(", ")}`,
      );
    }
    return limits;
  }
}
