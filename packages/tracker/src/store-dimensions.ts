import { StoreDimensionsError } from "./errors.ts";

interface Dimensioned {
  readonly dimensions: readonly string[];
}

/**
 * A store keeps every dimension, but `totals` returns only those that it was opened with. Another one of the counter would
 * read as zero after a restart, and its limit would be open.
 *
 * @throws StoreDimensionsError
 */
export function assertDimensions(store: Dimensioned, counter: Dimensioned): void {
  const missing = counter.dimensions.filter((dimension) => !store.dimensions.includes(dimension));
  if (missing.length > 0) throw new StoreDimensionsError(missing, store.dimensions, counter.dimensions);
}
