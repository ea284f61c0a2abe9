import type { StorageDimension, Usage, UsageStore } from "@usage/counter-core";
import type { UsageTracker } from "@usage/tracker";
import type { Sharing } from "../../counting/opened-counter.ts";
import { inOnePeriod } from "../in-one-period.ts";
import type { Turns } from "../turns.ts";

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
export interface AuditRow {
  readonly backend: string;
  readonly dimension: StorageDimension;
  /** By this instance and, as far as it knows, by the others. */
  readonly counted: number;
  /** The part of it that other instances can know; null where counts are not shared. */
  readonly shared: number | null;
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
export function audit(parts: AuditParts): Promise<AuditReport> {
  // Counted in one period and stored in another cannot be compared.
  return inOnePeriod(parts.tracker.counter, () => compare(parts));
}

async function compare({ tracker, store, sharing, turns }: AuditParts): Promise<AuditReport> {
  const counter = tracker.counter;
  const { key } = counter.period();
  const before = new Map<string, { readonly total: Usage; readonly unstored: Usage }>();
  await turns.each(counter.backends(), (name) => {
    before.set(name, { total: counter.totalAll(name), unstored: counter.loadAll(name) });
  });
  const { usage: stored } = await store.totals(key, counter.writer);
  const rows: AuditRow[] = [];
  await turns.each(before, ([backend, { total, unstored }]) => {
    const after = counter.totalAll(backend);
    const unpushed = sharing?.unpushedAll(backend);
    for (const dimension of counter.dimensions) {
      const held = stored.get(backend)?.all[dimension] ?? 0;
      const range = {
        from: total[dimension],
        to: after[dimension],
        confirmed: total[dimension] - unstored[dimension],
      };
      // Requests went on while the store was read: of all that was counted meanwhile, the number next to the stored one.
      const counted = Math.max(range.from, Math.min(held, range.to));
      const shared = unpushed === undefined ? null : Math.max(0, counted - unpushed[dimension]);
      rows.push({ backend, dimension, counted, shared, stored: held, verdict: verdictOn(held, range) });
    }
  });
  return { period: key, rows };
}

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
