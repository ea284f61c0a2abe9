import type { UsageStore } from "../hops/replica.ts";
import { AmountError } from "../model/errors.ts";
import { assertBackendName, assertDimensionName } from "../model/names.ts";
import { STORAGE_DIMENSIONS, type Tally, type Usage } from "../model/usage.ts";

interface Row {
  readonly period: string;
  readonly backend: string;
  readonly dimension: string;
  readonly writer: string;
  readonly amount: number;
}

/**
 * A `UsageStore` in memory, for tests. `combine` makes one amount of the known and the sent one; anything but the maximum
 * is wrong, and there to prove that a test notices.
 */
export function memoryStore(combine: (known: number, sent: number) => number = Math.max): UsageStore {
  const rows = new Map<string, Row>();

  const put = (sent: Row): void => {
    const key = JSON.stringify([sent.period, sent.backend, sent.dimension, sent.writer]);
    rows.set(key, { ...sent, amount: combine(rows.get(key)?.amount ?? 0, sent.amount) });
  };
  const of = (period: string): readonly Row[] => [...rows.values()].filter((row) => row.period === period);

  return {
    dimensions: STORAGE_DIMENSIONS,
    async merge(tallies, { signal } = {}) {
      signal?.throwIfAborted();
      await new Promise(setImmediate);
      signal?.throwIfAborted();
      return tallies.flatMap((tally) => {
        try {
          for (const row of rowsOf(tally)) put(row);
          return [];
        } catch (reason) {
          if (!(reason instanceof RangeError)) throw reason;
          return [{ tally, reason }];
        }
      });
    },
    async totals(period, writer) {
      return new Map(
        Array.from(Map.groupBy(of(period), byBackend), ([backend, all]) => [
          backend,
          { all: storageUsage(all), own: storageUsage(all.filter((row) => row.writer === writer)) },
        ]),
      );
    },
    async tallies(period, backends) {
      const asked = of(period).filter((row) => backends.includes(row.backend));
      return Array.from(
        Map.groupBy(asked, (row) => JSON.stringify([row.writer, row.backend])).values(),
        ([first, ...others]) => {
          const { writer = "", backend = "" } = first ?? {};
          return { writer, period, backend, usage: usageOf(first === undefined ? [] : [first, ...others]) };
        },
      );
    },
    async history({ backend, from = "", to }) {
      const periods = [...new Set(Array.from(rows.values(), (row) => row.period))].sort();
      return periods
        .filter((period) => period >= from && (to === undefined || period <= to))
        .flatMap((period) =>
          Array.from(Map.groupBy(of(period), byBackend), ([name, own]) => ({
            period,
            backend: name,
            usage: usageOf(own),
          })).sort((a, b) => (a.backend < b.backend ? -1 : 1)),
        )
        .filter((one) => backend === undefined || one.backend === backend);
    },
    async remove(backend) {
      for (const [key, row] of rows) if (row.backend === backend) rows.delete(key);
    },
  };
}

function rowsOf({ period, backend, writer, usage }: Tally): readonly Row[] {
  for (const name of [period, backend, writer]) assertBackendName(name);
  return Object.entries(usage)
    .map(([dimension, amount]) => {
      assertDimensionName(dimension);
      if (!Number.isSafeInteger(amount) || amount < 0) throw new AmountError(backend, dimension, amount);
      return { period, backend, dimension, writer, amount };
    })
    .filter((row) => row.amount > 0);
}

function byBackend(row: Row): string {
  return row.backend;
}

function usageOf(rows: readonly Row[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Array.from(
      Map.groupBy(rows, (row) => row.dimension),
      ([dimension, same]) => [dimension, sumOf(same)],
    ),
  );
}

function storageUsage(rows: readonly Row[]): Usage {
  const [apiRequests = 0, egressBytes = 0, ingressBytes = 0] = STORAGE_DIMENSIONS.map((dimension) =>
    sumOf(rows.filter((row) => row.dimension === dimension)),
  );
  return { apiRequests, egressBytes, ingressBytes };
}

function sumOf(rows: readonly Row[]): number {
  return rows.reduce((sum, row) => Math.min(Number.MAX_SAFE_INTEGER, sum + row.amount), 0);
}
