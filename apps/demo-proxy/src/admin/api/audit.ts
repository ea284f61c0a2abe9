import { STORAGE_DIMENSIONS, type StorageDimension, type Usage, type UsageStore } from "@usage/counter-core";
import type { UsageTracker } from "@usage/tracker";
import type { Sharing } from "../../counting/opened-counter.ts";

export interface AuditParts {
  readonly tracker: UsageTracker;
  readonly store: Pick<UsageStore, "totals">;
  /** Absent when the counts stay in this process. */
  readonly sharing?: Pick<Sharing, "unpushedAll">;
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
 * `equal`; `waiting` for the next flush; `unheard`, stored by another instance and not heard of here yet; or `missing`: the
 * store holds less than it has confirmed.
 */
export type AuditVerdict = "equal" | "waiting" | "unheard" | "missing";

const NOTHING: Usage = { apiRequests: 0, egressBytes: 0, ingressBytes: 0 };

/** Compares what is counted with what the store holds now. Rejects when the store cannot be read. */
export async function audit(parts: AuditParts): Promise<AuditReport> {
  const { tracker, store, sharing } = parts;
  const counter = tracker.backend;
  const { key } = counter.period();
  const names = counter.backends();
  const before = names.map((name) => ({ total: counter.totalAll(name), unflushed: counter.loadAll(name) }));
  const stored = await store.totals(key, counter.writer);
  // Counted in one period and stored in another cannot be compared; the next period has just begun.
  if (counter.period().key !== key) return audit(parts);
  const rows = names.flatMap((backend, index) => {
    const { total, unflushed } = before[index] ?? { total: NOTHING, unflushed: NOTHING };
    const after = counter.totalAll(backend);
    const unpushed = sharing?.unpushedAll(backend);
    return STORAGE_DIMENSIONS.map((dimension): AuditRow => {
      const held = stored.get(backend)?.all[dimension] ?? 0;
      const range = {
        from: total[dimension],
        to: after[dimension],
        confirmed: total[dimension] - unflushed[dimension],
      };
      // Requests went on while the store was read: of all that was counted meanwhile, the number next to the stored one.
      const counted = Math.max(range.from, Math.min(held, range.to));
      const shared = unpushed === undefined ? null : Math.max(0, counted - unpushed[dimension]);
      return { backend, dimension, counted, shared, stored: held, verdict: verdictOn(held, range) };
    });
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
  if (stored < from) return "waiting";
  return stored <= to ? "equal" : "unheard";
}
