import type { RejectedTally, StoredTotals, TotalsQuery, UsageStore } from "../hops/usage-store.ts";
import { type Clock, systemClock } from "../model/clock.ts";
import { AmountError, PeriodFoldedError } from "../model/errors.ts";
import { assertBackendName, assertDimensionName, checkedDimensions } from "../model/names.ts";
import {
  amountOf,
  isAmount,
  type PeriodUsage,
  STORAGE_DIMENSIONS,
  type StorageDimension,
  type StoredUsage,
  type Tally,
  type Usage,
} from "../model/usage.ts";
import { Cursors } from "./cursors.ts";
import { foldableBefore } from "./foldable.ts";
import { MemoryGrants } from "./memory-grants.ts";
import { MemoryMarks } from "./memory-marks.ts";
import { MemorySettings } from "./memory-settings.ts";

export interface MemoryStoreOptions<D extends string = string> {
  /**
   * What `totals` returns. Others are kept all the same, and appear in `tallies` and `history`.
   * @default STORAGE_DIMENSIONS
   */
  readonly dimensions?: readonly D[];
  /** What `fold`, `notices` and `grant` take for now. @default systemClock */
  readonly clock?: Pick<Clock, "now">;
}

/** By dimension. */
type Amounts = Map<string, number>;

interface Backend {
  readonly writers: Map<string, Amounts>;
  /** When it last changed, in changes of the store. */
  changed: number;
}

interface Period {
  readonly backends: Map<string, Backend>;
  isFolded: boolean;
}

/** No counter has such a name. */
const FOLDED = "";

/**
 * A `UsageStore` in the memory of this process, for development and tests: it keeps every promise of one, but to be durable.
 *
 * @throws RangeError or NameError when `dimensions` are none.
 */
export function memoryStore<D extends string>(
  options: MemoryStoreOptions<D> & { readonly dimensions: readonly D[] },
): UsageStore<D>;
export function memoryStore(options?: MemoryStoreOptions<StorageDimension>): UsageStore;
export function memoryStore(options: MemoryStoreOptions = {}): UsageStore<string> {
  const { clock = systemClock } = options;
  const dimensions = checkedDimensions(options.dimensions ?? STORAGE_DIMENSIONS);
  const cursors = new Cursors();
  const periods = new Map<string, Period>();
  const marks = new MemoryMarks(clock);
  const grants = new MemoryGrants(clock);
  const settings = new MemorySettings(clock);
  let changes = 0;

  const put = ({ period: key, backend: name, writer, usage }: Tally): void => {
    const amounts = Object.entries(usage).filter(([, amount]) => amount > 0);
    if (amounts.length === 0) return;
    const period = entry(periods, key, () => ({ backends: new Map(), isFolded: false }));
    if (period.isFolded) throw new PeriodFoldedError(key);
    const backend = entry(period.backends, name, () => ({ writers: new Map(), changed: 0 }));
    const known = entry(backend.writers, writer, () => new Map());
    for (const [dimension, amount] of amounts) {
      if (amount <= (known.get(dimension) ?? 0)) continue;
      known.set(dimension, amount);
      backend.changed = ++changes;
    }
  };

  const store = (tally: Tally): readonly RejectedTally[] => {
    try {
      assertTally(tally);
      put(tally);
      return [];
    } catch (reason) {
      if (!(reason instanceof RangeError || reason instanceof PeriodFoldedError)) throw reason;
      return [{ tally, reason }];
    }
  };

  const storedOf = ({ writers }: Backend, writer: string): StoredUsage<string> => ({
    all: picked(sumOf(writers.values())),
    own: picked(sumOf([writers.get(writer) ?? new Map()])),
  });
  const picked = (usage: Usage<string>): Usage<string> =>
    Object.fromEntries(dimensions.map((dimension) => [dimension, amountOf(usage, dimension)]));
  const hasAny = ({ writers }: Backend): boolean =>
    Array.from(writers.values()).some((amounts) => dimensions.some((dimension) => amounts.has(dimension)));

  return {
    dimensions,

    async merge(tallies, { signal } = {}) {
      signal?.throwIfAborted();
      await new Promise(setImmediate);
      signal?.throwIfAborted();
      return tallies.flatMap(store);
    },

    async totals(key, writer, { backends, since }: TotalsQuery = {}): Promise<StoredTotals<string>> {
      const known = periods.get(key)?.backends ?? new Map<string, Backend>();
      const after = cursors.positionIn(since, key) ?? 0;
      const usage = new Map<string, StoredUsage<string>>();
      for (const name of backends ?? known.keys()) {
        const backend = known.get(name);
        if (backend !== undefined && backend.changed > after && hasAny(backend)) {
          usage.set(name, storedOf(backend, writer));
        }
      }
      return { usage, cursor: cursors.at(key, changes) };
    },

    async tallies(period, backends) {
      return Array.from(new Set(backends)).flatMap((backend) => {
        const writers = periods.get(period)?.backends.get(backend)?.writers ?? new Map<string, Amounts>();
        return Array.from(writers, ([writer, amounts]) => ({ writer, period, backend, usage: sumOf([amounts]) }));
      });
    },

    async history({ backend: only, from = "", to }) {
      const history: PeriodUsage[] = [];
      for (const [period, { backends }] of sorted(periods)) {
        if (period < from || (to !== undefined && period > to)) continue;
        for (const [backend, { writers }] of sorted(backends)) {
          if (only === undefined || backend === only) history.push({ period, backend, usage: sumOf(writers.values()) });
        }
      }
      return history;
    },

    async remove(backend) {
      for (const { backends } of periods.values()) backends.delete(backend);
      marks.remove(backend);
      grants.remove(backend);
    },

    async fold(before) {
      const isFoldable = foldableBefore(before, clock.now());
      const folded = sorted(periods).filter(([key, { isFolded }]) => !isFolded && isFoldable(key));
      for (const [, period] of folded) {
        period.isFolded = true;
        for (const backend of period.backends.values()) {
          const amounts = new Map(Object.entries(sumOf(backend.writers.values())));
          backend.writers.clear();
          backend.writers.set(FOLDED, amounts);
        }
      }
      return folded.map(([key]) => key);
    },

    claim: (claimed) => marks.claim(claimed),
    notices: (channel, query) => marks.notices(channel, query),
    acknowledge: (notices) => marks.acknowledge(notices),
    grant: (grant) => grants.grant(grant),
    grants: (query) => grants.grants(query),
    change: (change) => settings.change(change),
    changes: (query) => settings.changes(query),
  };
}

function assertTally({ period, backend, writer, usage }: Tally): void {
  for (const name of [period, backend, writer]) assertBackendName(name);
  for (const [dimension, amount] of Object.entries(usage)) {
    assertDimensionName(dimension);
    if (!isAmount(amount)) throw new AmountError(backend, dimension, amount);
  }
}

function sumOf(writers: Iterable<Amounts>): Usage<string> {
  const sums: Amounts = new Map();
  for (const amounts of writers) {
    for (const [dimension, amount] of amounts) {
      sums.set(dimension, Math.min(Number.MAX_SAFE_INTEGER, (sums.get(dimension) ?? 0) + amount));
    }
  }
  return Object.fromEntries(sums);
}

function sorted<T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  return Array.from(map).sort(([a], [b]) => (a < b ? -1 : 1));
}

function entry<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
