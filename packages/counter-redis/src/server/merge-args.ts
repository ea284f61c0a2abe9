import { amountOf, isDimensionName } from "@usage/counter-core/internal";
import type { MergeItem, Pair } from "./shared-counts.ts";

const NO_PAIR: Pair = { granted: 0, returned: 0, forgiven: 0 };

/** What the script `merge` takes of a run: its dimensions, and then each item. */
export function mergeArgsOf(
  run: string,
  dimensions: readonly string[],
  items: readonly MergeItem[],
): readonly (string | number)[] {
  const args: (string | number)[] = [run, dimensions.length, ...dimensions];
  for (const item of items) {
    const { backend, writer, rows = [], mark = "" } = item;
    const others = rows.filter((row) => row.writer !== writer);
    args.push(backend, writer, packed(amountsOf(item, dimensions.length)), mark, others.length);
    for (const row of others) args.push(row.writer, packed(dimensions.map((name) => amountOf(row.usage, name))));
  }
  return args;
}

/** Ours, then what else the store's rows have. */
export function dimensionsOf(ours: readonly string[], items: readonly MergeItem[]): readonly string[] {
  const dimensions = new Set(ours);
  for (const { rows = [] } of items) {
    for (const { usage } of rows) for (const name in usage) if (isDimensionName(name)) dimensions.add(name);
  }
  return [...dimensions];
}

/** Nothing more than the counts where nobody ever held anything. */
function amountsOf({ own, pairs, asks }: MergeItem, size: number): readonly number[] {
  const amounts = Array.from({ length: size }, (_, d) => own[d] ?? 0);
  if (pairs === undefined) return amounts;
  for (let d = 0; d < size; d++) {
    const { granted, returned, forgiven } = pairs[d] ?? NO_PAIR;
    amounts.push(granted, returned, forgiven);
  }
  if (asks === undefined) return amounts;
  for (let d = 0; d < size; d++) amounts.push(asks[d]?.limit ?? 0, asks[d]?.target ?? 0, asks[d]?.need ?? 0);
  return amounts;
}

function packed(amounts: readonly number[]): string {
  return amounts.join(" ");
}
