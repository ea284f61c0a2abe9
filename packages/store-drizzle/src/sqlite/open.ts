import { STORAGE_DIMENSIONS, type StorageDimension, type UsageStore } from "@usage/counter-core";
import type { Database } from "better-sqlite3";
import type { BetterSQLite3Database } from "drizzle-orm/better-sqlite3";
import { StoreOpenError } from "../errors.ts";
import { migrate } from "./migrate.ts";
import { retryWhileBusy } from "./retry-while-busy.ts";
import { type SqliteStoreOptions, sqliteUsageStore } from "./store.ts";

/** Long enough for another process's chunk to end, short enough not to be felt: it blocks the event loop. */
const BUSY_TIMEOUT_MS = 10;
/** A quarter of SQLite's own: the merge whose turn it is to move the log into the file holds the event loop for that, too. */
const CHECKPOINT_PAGES = 250;

/** A store that owns its database. */
export interface OpenSqliteStore {
  /** The drizzle database that the store opened. */
  readonly db: BetterSQLite3Database;
  /** Closes the file, once your merges have settled. May be called twice. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens or creates the SQLite file (`:memory:` for one that is gone when it is closed), in WAL mode and with `synchronous = full`, and migrates it. Needs better-sqlite3.
 *
 * @throws StoreOpenError when the file cannot be opened, StoreError or StoreBusyError when it cannot be migrated.
 */
export function openSqliteStore<D extends string>(
  path: string,
  options: SqliteStoreOptions<D> & { readonly dimensions: readonly D[] },
): Promise<UsageStore<D> & OpenSqliteStore>;
export function openSqliteStore(
  path: string,
  options?: SqliteStoreOptions<StorageDimension>,
): Promise<UsageStore & OpenSqliteStore>;
export async function openSqliteStore(
  path: string,
  options: SqliteStoreOptions = {},
): Promise<UsageStore<string> & OpenSqliteStore> {
  if (typeof path !== "string" || path === "") {
    // SQLite would take it for a database that is deleted when it is closed.
    throw new StoreOpenError(`the path of a SQLite database must be given, got ${JSON.stringify(path)}`);
  }
  // Imported here, so that those who bring their own database need not have these.
  const [{ default: SqliteDatabase }, { drizzle }] = await Promise.all([
    import("better-sqlite3"),
    import("drizzle-orm/better-sqlite3"),
  ]);
  const client = open(path, () => new SqliteDatabase(path, { timeout: BUSY_TIMEOUT_MS }));
  const close = async () => void client.close();
  try {
    const db = drizzle(client);
    const { dimensions = STORAGE_DIMENSIONS } = options;
    await retryWhileBusy(options)("opening the database", () => {
      client.pragma("journal_mode = WAL");
      client.pragma("synchronous = FULL");
      client.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    });
    await migrate(db, options);
    return { ...sqliteUsageStore(db, { ...options, dimensions }), db, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    client.close();
    throw error;
  }
}

function open(path: string, connect: () => Database): Database {
  try {
    return connect();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StoreOpenError(`cannot open ${path}: ${reason}; its folder must exist and be writable`, { cause });
  }
}
