/** What a process used at one moment. */
export interface Sample {
  /** Since the load began. */
  readonly atMs: number;
  readonly rssBytes: number;
  /** After a garbage collection. */
  readonly heapBytes: number;
  /** Descriptors; not a number where the system does not tell. */
  readonly openFiles: number;
}

/** How a quantity went: the medians of the second and the last quarter of the samples. */
export interface Course {
  readonly before: number;
  readonly after: number;
  /** From the middle of one quarter to that of the other. */
  readonly perHour: number;
}

export function courseOf(samples: readonly Sample[], quantity: (sample: Sample) => number): Course {
  const quarter = (from: number): readonly Sample[] =>
    samples.slice(Math.floor((from / 4) * samples.length), Math.ceil(((from + 1) / 4) * samples.length));
  const [second, last] = [quarter(1), quarter(3)];
  const before = median(second.map(quantity));
  const after = median(last.map(quantity));
  const hours = (median(last.map(({ atMs }) => atMs)) - median(second.map(({ atMs }) => atMs))) / 3_600_000;
  return { before, after, perHour: (after - before) / hours };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 === 1 ? middle : middle - 1], sorted[middle]];
  return (low + high) / 2;
}
