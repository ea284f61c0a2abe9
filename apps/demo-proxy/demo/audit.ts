import { STORAGE_DIMENSIONS, type StorageDimension, type Usage } from "@usage/counter-core";
import Database from "better-sqlite3";
import type { Paint } from "./table.ts";

/** By the name of a backend, or of a client. */
export type UsageByName = ReadonlyMap<string, Partial<Usage>>;

export interface Accounts {
  /** By the logs of the upstreams. */
  readonly measured: UsageByName;
  /** By the proxies. */
  readonly counted: UsageByName;
  /** By what SQLite holds. */
  readonly stored: UsageByName;
  /** What a proxy that was killed may have taken with it. @default nothing */
  readonly losable?: UsageByName;
  /** What it may have counted beforehand of requests that it did not carry out, of one name or another. @default nothing */
  readonly unfinished?: Partial<Usage>;
}

/** One number, from the three who should agree on it. */
export interface AuditRow {
  /** Of the backend, or of the client. */
  readonly name: string;
  readonly dimension: StorageDimension;
  readonly measured: number;
  readonly counted: number;
  readonly stored: number;
  /** What was measured and is not stored; below zero where more is stored. */
  readonly lost: number;
  /** Whether counted and stored are equal, and measured too but for what a kill explains. */
  readonly agrees: boolean;
}

/** Compares what was measured, counted and stored; a number that is missing is zero, a name that only one knows is a row, too. */
export function audit({
  measured,
  counted,
  stored,
  losable = new Map(),
  unfinished = {},
}: Accounts): readonly AuditRow[] {
  const names = [...new Set([...measured.keys(), ...counted.keys(), ...stored.keys()])];
  return names.flatMap((name) =>
    STORAGE_DIMENSIONS.map((dimension): AuditRow => {
      const of = (usage: UsageByName): number => usage.get(name)?.[dimension] ?? 0;
      const row = { name, dimension, measured: of(measured), counted: of(counted), stored: of(stored) };
      const lost = row.measured - row.stored;
      const isExplained = lost <= of(losable) && -lost <= (of(losable) > 0 ? (unfinished[dimension] ?? 0) : 0);
      return { ...row, lost, agrees: row.counted === row.stored && isExplained };
    }),
  );
}

/**
 * What a table of a SQLite file holds of months, read by a connection of its own.
 *
 * @param before the first month that is left out. @default none
 */
export function readStored(
  file: string,
  firstPeriod: string,
  table: Tallies = "usage_tallies",
  before = "9999-99",
): UsageByName {
  const database = new Database(file, { readonly: true });
  try {
    const sums = database.prepare<[string, string], { backend: string; dimension: StorageDimension; amount: number }>(
      `select backend, dimension, sum(amount) as amount from ${table} where period >= ? and period < ? and period like '____-__' group by backend, dimension`,
    );
    const stored = new Map<string, Partial<Record<StorageDimension, number>>>();
    for (const { backend, dimension, amount } of sums.all(firstPeriod, before)) {
      stored.set(backend, { ...stored.get(backend), [dimension]: amount });
    }
    return stored;
  } finally {
    database.close();
  }
}

/** By backend, or by client. */
type Tallies = "usage_tallies" | "usage_clients_tallies";

const COLUMNS = ["measured", "counted", "stored"] as const;
const WIDTH = 12;
const NAME_WIDTH = 8;

/** @param whose what the rows are about. */
export function renderAudit(rows: readonly AuditRow[], styled: Paint, whose = "backend"): readonly string[] {
  const head = ["upstream log", "proxies", "SQLite"].map((title) => title.padStart(WIDTH)).join("");
  const lines = rows.map((row) => {
    const numbers = COLUMNS.map((column) => row[column].toLocaleString("en").padStart(WIDTH)).join("");
    return `  ${row.name.padEnd(NAME_WIDTH)}${row.dimension.padEnd(13)}${numbers}   ${verdict(row, styled)}`;
  });
  return [styled("bold", `  ${whose.padEnd(NAME_WIDTH)}${"".padEnd(13)}${head}`), ...lines];
}

function verdict({ agrees, lost }: AuditRow, styled: Paint): string {
  if (!agrees) return styled("red", "DIFFERENT");
  if (lost === 0) return styled("green", "equal");
  return styled("yellow", `${lost > 0 ? "-" : "+"}${Math.abs(lost).toLocaleString("en")} (kill)`);
}
