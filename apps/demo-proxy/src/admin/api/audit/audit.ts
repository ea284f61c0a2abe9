import type { StorageDimension, Usage, UsageStore } from "@usage/counter-core";
import type { UsageTracker } from "@usage/tracker";
import type { Sharing } from "../../../counting/opened-counter.ts";
import { inOnePeriod } from "../../in-one-period.ts";
import type { Turns } from "../../turns.ts";

export interface AuditParts {
  readonly tracker: UsageTracker;
  readonly store: Pick<UsageStore, "totals">;
  /** Absent when the counts stay in this process. */
  readonly sharing?: Pick<Sharing, "unpushedAll">;
  readonly turns: Turns;
}

/** What `GET /api/audit` answers. */
export interface AuditReport {
  readonly period: string;
  readonly rows: readonly AuditRow[];
}

/** One number of this period, from all who should agree on it. */
export interface AuditRow extends ComparedAmount {
  readonly backend: string;
  /** The part of `counted` that other instances can know; null where counts are not shared. */
  readonly shared: number | null;
}

/** What is counted of something, and what the store has of it. */
export interface ComparedAmount {
  readonly dimension: StorageDimension;
  /** By this instance and, as far as it knows, by the others. */
  readonly counted: number;
  /** What the store holds, read for this answer. */
  readonly stored: number;
  readonly verdict: AuditVerdict;
}

/**
 * `equal`; `unstored` until the next flush; `unheard`, stored by another instance and not heard of here yet; or `missing`: the
 * store holds less than it has confirmed.
 */
export type AuditVerdict = "equal" | "unstored" | "unheard" | "missing";

/** Compares what is counted with what the store holds now. Rejects when the store cannot be read. */
export function audit({ tracker, store, sharing, turns }: AuditParts): Promise<AuditReport> {
  const { counter } = tracker;
  // Counted in one period and stored in another cannot be compared.
  return inOnePeriod(counter, async () => {
    const period = counter.period().key;
    const rows: AuditRow[] = [];
    await compare({ counter, store, turns }, counter.backends(), (backend, amount) => {
      const unpushed = sharing?.unpushedAll(backend)[amount.dimension];
      const shared = unpushed === undefined ? null : Math.max(0, amount.counted - unpushed);
      rows.push({ backend, shared, ...amount });
    });
    return { period, rows };
  });
}

export interface ComparisonParts {
  readonly counter: UsageTracker["counter"];
  readonly store: Pick<UsageStore, "totals">;
  readonly turns: Turns;
}

/** Tells each amount of these names, in turns; of what is let go of meanwhile, none. Rejects when the store cannot be read. */
export async function compare(
  { counter, store, turns }: ComparisonParts,
  names: readonly string[],
  tell: (name: string, amount: ComparedAmount) => void,
): Promise<void> {
  const before = new Map<string, { readonly total: Usage; readonly unstored: Usage }>();
  await turns.each(names, (name) => {
    if (counter.has(name)) before.set(name, { total: counter.totalAll(name), unstored: counter.loadAll(name) });
  });
  // A few are read by name, more as fast with all the others.
  const query = names.length <= FEW ? { backends: names } : {};
  const { usage: stored } = await store.totals(counter.period().key, counter.writer, query);
  await turns.each(before, ([name, { total, unstored }]) => {
    if (!counter.has(name)) return;
    const after = counter.totalAll(name);
    for (const dimension of counter.dimensions) {
      const held = stored.get(name)?.all[dimension] ?? 0;
      const range = {
        from: total[dimension],
        to: after[dimension],
        confirmed: total[dimension] - unstored[dimension],
      };
      // Requests went on while the store was read: of all that was counted meanwhile, the number next to the stored one.
      const counted = Math.max(range.from, Math.min(held, range.to));
      tell(name, { dimension, counted, stored: held, verdict: verdictOn(held, range) });
    }
  });
}

const FEW = 10;

interface CountedRange {
  /** Counted before the store was read, and after it. */
  readonly from: number;
  readonly to: number;
  /** The part of `from` that the store had confirmed. */
  readonly confirmed: number;
}

function verdictOn(stored: number, { from, to, confirmed }: CountedRange): AuditVerdict {
  if (stored < confirmed) return "missing";
  if (stored < from) return "unstored";
  return stored <= to ? "equal" : "unheard";
}
