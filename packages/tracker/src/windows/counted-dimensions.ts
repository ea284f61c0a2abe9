/** What the counters of all windows count: the same, since amounts are read once for all of them. */
export class CountedDimensions<D extends string> {
  readonly #known: readonly D[];
  #counted: readonly D[] | undefined;

  /** @param known - What is taken for it before there is a counter. */
  constructor(known: readonly D[]) {
    this.#known = known;
  }

  get now(): readonly D[] {
    return this.#counted ?? this.#known;
  }

  /** A window's counter counts these. @throws TypeError where those before count something else. */
  take(window: string, dimensions: readonly D[]): void {
    this.#counted ??= dimensions;
    const [own, others] = [dimensions.join(", "), this.#counted.join(", ")];
    if (own === others) return;
    throw new TypeError(
      `counter must return counters of the same dimensions: that of windows.${window} counts ${own}, others count ${others}`,
    );
  }
}
