import type { Tally } from "@usage/counter-core";
import type { HydrationPart, SharedBackend } from "./shared-backend.ts";

/** So many fields hold a server up for a few milliseconds. */
const ROWS_PER_BATCH = 500;

interface Hydration {
  readonly backend: SharedBackend;
  readonly part: HydrationPart;
}

/** The rows of these backends in batches that a server takes quickly; a backend with more of them in several, the last of which says so. */
export function* hydrationBatches(
  backends: readonly SharedBackend[],
  rows: ReadonlyMap<string, readonly Tally[]>,
  batchSize: number,
): Generator<readonly Hydration[]> {
  let batch: Hydration[] = [];
  let size = 0;
  for (const backend of backends) {
    const own = rows.get(backend.name) ?? [];
    for (let start = 0; start === 0 || start < own.length; start += ROWS_PER_BATCH) {
      const end = start + ROWS_PER_BATCH;
      const part = { rows: own.slice(start, end), isFirst: start === 0, isLast: end >= own.length };
      if (batch.length === batchSize || (batch.length > 0 && size + part.rows.length > ROWS_PER_BATCH)) {
        yield batch;
        batch = [];
        size = 0;
      }
      batch.push({ backend, part });
      size += part.rows.length;
    }
  }
  if (batch.length > 0) yield batch;
}
