import { STORAGE_DIMENSIONS, type StorageDimension, type Usage } from "@usage/counter-core";
import Database from "better-sqlite3";
import type { Paint } from "./table.ts";

/** One number, from the three who should agree on it. */
export interface AuditRow {
  readonly backend: string;
  readonly dimension: StorageDimension;
  /** What the upstream itself measured. */
  readonly measured: number;
  /** What the proxy counted. */
  readonly counted: number;
  /** What SQLite holds. */
  readonly stored: number;
  readonly agrees: boolean;
}

type UsageByBackend = ReadonlyMap<string, Partial<Usage>>;

/** Compares what was measured, counted and stored; a number that is missing is zero, a backend that only one knows is a row, too. */
export function audit(measured: UsageByBackend, counted: UsageByBackend, stored: UsageByBackend): readonly AuditRow[] {
  const backends = [...new Set([...measured.keys(), ...counted.keys(), ...stored.keys()])];
  return backends.flatMap((backend) =>
    STORAGE_DIMENSIONS.map((dimension): AuditRow => {
      const of = (usage: UsageByBackend): number => usage.get(backend)?.[dimension] ?? 0;
      const row = { backend, dimension, measured: of(measured), counted: of(counted), stored: of(stored) };
      return { ...row, agrees: row.measured === row.counted && row.counted === row.stored };
    }),
  );
}

/** What a SQLite file holds, over all periods, read by a connection of its own. */
export function readStored(file: string): UsageByBackend {
  const database = new Database(file, { readonly: true });
  try {
    const sums = database.prepare<[], { backend: string; dimension: StorageDimension; amount: number }>(
      "select backend, dimension, sum(amount) as amount from usage_tallies group by backend, dimension",
    );
    const stored = new Map<string, Partial<Record<StorageDimension, number>>>();
    for (const { backend, dimension, amount } of sums.all()) {
      stored.set(backend, { ...stored.get(backend), [dimension]: amount });
    }
    return stored;
  } finally {
    database.close();
  }
}

const COLUMNS = ["measured", "counted", "stored"] as const;
const WIDTH = 14;

export function renderAudit(rows: readonly AuditRow[], styled: Paint): readonly string[] {
  const head = ["upstream", "proxy", "SQLite"].map((title) => title.padStart(WIDTH)).join("");
  const lines = rows.map((row) => {
    const numbers = COLUMNS.map((column) => row[column].toLocaleString("en").padStart(WIDTH)).join("");
    const mark = row.agrees ? styled("green", "equal") : styled("red", "DIFFERENT");
    return `  ${row.backend.padEnd(8)}${row.dimension.padEnd(13)}${numbers}   ${mark}`;
  });
  return [styled("bold", `  ${"backend".padEnd(8)}${"dimension".padEnd(13)}${head}`), ...lines];
}
