/** How long things took, counted by bucket. Observing one is a few additions: nothing is allocated. */
export class DurationBuckets {
  /** Upper bounds in seconds. */
  readonly bounds: readonly number[];
  readonly counts: Float64Array;
  readonly #boundsMs: Float64Array;
  // In an array, since a number in a field would be a new object with each change.
  readonly #sumMs: Float64Array = new Float64Array(1);

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
    this.#boundsMs = Float64Array.from(bounds, (seconds) => seconds * 1_000);
  }

  /** In seconds. */
  get sum(): number {
    return (this.#sumMs[0] ?? 0) / 1_000;
  }

  observe(durationMs: number): void {
    const bounds = this.#boundsMs;
    let bucket = 0;
    while (bucket < bounds.length && durationMs > (bounds[bucket] as number)) bucket += 1;
    (this.counts[bucket] as number) += 1;
    (this.#sumMs[0] as number) += durationMs;
  }
}
