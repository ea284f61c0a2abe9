// A UsageStore of one's own: a JSON file of one process (not on Windows). Each change writes all of it and renames it.
// npm install @usage/counter-core and then: const store = await openJsonFileStore("usage.json", STORAGE_DIMENSIONS);
// `usageStoreContract` proves that it is one: npm install vitest, npx vitest run examples/test/json-file-store.test.ts
import { open, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { RejectedTally, Tally, Usage, UsageStore } from "@usage/counter-core";
import {
  AmountError,
  assertBackendName,
  assertDimensionName,
  foldableBefore,
  PeriodFoldedError,
} from "@usage/counter-core";

export async function openJsonFileStore<D extends string>(
  path: string,
  dimensions: readonly D[],
): Promise<UsageStore<D>> {
  const text = await readFile(path, "utf8").catch((error) => (error.code === "ENOENT" ? "[]" : Promise.reject(error)));
  let stored: readonly Tally[] = JSON.parse(text);
  let last = Promise.resolve();

  /** One change after the other; readers see it once it is durable. */
  function change(edit: (before: readonly Tally[]) => readonly Tally[]): Promise<void> {
    const changed = last.then(async () => {
      const after = edit(stored);
      await writeFile(`${path}.new`, JSON.stringify(after), { flush: true });
      await rename(`${path}.new`, path);
      const folder = await open(dirname(path)); // a rename is durable when its folder is
      await folder.sync().finally(() => folder.close());
      stored = after;
    });
    last = changed.catch(() => {});
    return changed;
  }
  const within = (from = "", to?: string) => stored.filter(({ period }) => period >= from && period <= (to ?? period));
  const usageOf = (tallies: readonly Tally[]) => {
    const amounts = combined(tallies, sum);
    return Object.fromEntries(
      dimensions.map((name) => [name, Object.hasOwn(amounts, name) ? amounts[name] : 0]),
    ) as Usage<D>;
  };
  return {
    dimensions,
    async merge(tallies, { signal } = {}) {
      let rejected: readonly RejectedTally[] = [];
      await change((before) => {
        signal?.throwIfAborted();
        const folded = foldedIn(before);
        const reasons = tallies.map((tally) => problemOf(tally, folded));
        rejected = tallies.flatMap((tally, i) => (reasons[i] === undefined ? [] : [{ tally, reason: reasons[i] }]));
        const known = Map.groupBy([...before, ...tallies.filter((_, i) => reasons[i] === undefined)], keyOf);
        return Array.from(known.values(), (same) => ({ ...(same[0] as Tally), usage: combined(same, Math.max) }));
      });
      return rejected;
    },
    async totals(period, writer, { backends } = {}) {
      const asked = backends && new Set(backends);
      const inPeriod = within(period, period).filter(({ backend }) => asked?.has(backend) ?? true);
      const own = (all: readonly Tally[]) => all.filter((tally) => tally.writer === writer);
      const of = (all: readonly Tally[]) => ({ all: usageOf(all), own: usageOf(own(all)) });
      const byBackend = Map.groupBy(inPeriod, ({ backend }) => backend);
      return { usage: new Map(Array.from(byBackend, ([name, all]) => [name, of(all)])) }; // no cursor: all is read each time
    },
    async tallies(period, backends) {
      const asked = new Set(backends);
      return within(period, period).filter(({ backend }) => asked.has(backend));
    },
    async history({ from, to, backend: only }) {
      const asked = within(from, to).filter(({ backend }) => backend === (only ?? backend));
      const groups = Map.groupBy(asked, ({ period, backend }) => keyOf({ period, backend }));
      return [...groups.keys()].sort().map((key) => {
        const [period = "", backend = ""] = key.split("\n");
        return { period, backend, usage: combined(groups.get(key) ?? [], sum) };
      });
    },
    remove: (backend) => change((before) => before.filter((tally) => tally.backend !== backend)),
    async fold(before) {
      const isFoldable = foldableBefore(before, Date.now());
      let periods: readonly string[] = [];
      await change((known) => {
        const folded = foldedIn(known);
        const open = known.filter(({ period }) => isFoldable(period) && !folded.has(period));
        periods = [...new Set(open.map(({ period }) => period))].sort();
        const groups = Map.groupBy(open, ({ period, backend }) => keyOf({ period, backend }));
        const sums = Array.from(groups.values(), (same) => ({
          ...(same[0] as Tally),
          writer: FOLDED,
          usage: combined(same, sum),
        }));
        return [...known.filter((tally) => !open.includes(tally)), ...sums];
      });
      return periods;
    },
  };
}

/** Who wrote what was folded: no counter has such a name. */
const FOLDED = "";
const foldedIn = (tallies: readonly Tally[]): ReadonlySet<string> =>
  new Set(tallies.filter(({ writer }) => writer === FOLDED).map(({ period }) => period));

/** No name has a line break, and all that a name may have sorts after one. */
const keyOf = ({ period, backend, writer = "" }: Partial<Tally>): string => `${period}\n${backend}\n${writer}`;
const sum = (a: number, b: number): number => Math.min(a + b, Number.MAX_SAFE_INTEGER);

function combined(tallies: readonly Tally[], combine: (a: number, b: number) => number): Tally["usage"] {
  const amounts = new Map<string, number>();
  for (const [dimension, amount] of tallies.flatMap(({ usage }) => Object.entries(usage))) {
    amounts.set(dimension, combine(amounts.get(dimension) ?? 0, amount));
  }
  return Object.fromEntries(amounts);
}

function problemOf({ period, backend, writer, usage }: Tally, folded: ReadonlySet<string>): Error | undefined {
  try {
    for (const name of [period, backend, writer]) assertBackendName(name);
    for (const dimension in usage) assertDimensionName(dimension);
  } catch (error) {
    return error as Error;
  }
  const wrong = Object.entries(usage).find(([, amount]) => !(Number.isSafeInteger(amount) && amount >= 0));
  if (wrong !== undefined) return new AmountError(backend, ...wrong);
  return folded.has(period) ? new PeriodFoldedError(period) : undefined;
}
