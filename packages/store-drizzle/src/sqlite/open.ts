import { resolve } from "node:path";
import { STORAGE_DIMENSIONS, type StorageDimension, type UsageStore } from "@usage/counter-core";
import type { Database } from "better-sqlite3";
import type { BetterSQLite3Database } from "drizzle-orm/better-sqlite3";
import { driverError, StoreOpenError } from "../errors.ts";
import { DatabaseFile } from "./database-file.ts";
import { FileKeeper } from "./file-keeper.ts";
import { migrate } from "./migrate.ts";
import { retryWhileBusy } from "./retry-while-busy.ts";
import { type SqliteStoreOptions, storeOn } from "./store.ts";

/** Long enough for another process's chunk to end, short enough not to be felt: it blocks the event loop. */
const BUSY_TIMEOUT_MS = 10;
/** A quarter of SQLite's own: the merge whose turn it is to move the log into the file holds the event loop for that, too. */
const CHECKPOINT_PAGES = 250;
/** For a file that is deleted or replaced while it is migrated. */
const OPEN_ATTEMPTS = 3;

/** A store that owns its database. */
export interface OpenSqliteStore {
  /** The drizzle database that the store has open: another one once the file was deleted or replaced. */
  readonly db: BetterSQLite3Database;
  /** Closes the file, once your merges have settled. May be called twice. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens or creates the SQLite file, in WAL mode and with `synchronous = full`, and migrates it. `:memory:` is a database that is gone when
 * it is closed. Needs better-sqlite3.
 *
 * Each operation sees whether the file at the path is still the one that is open. Where it was deleted or replaced, the store
 * opens what is there, migrates it, runs the operation there, and counts one more of its `losses`; what it had confirmed
 * before is to be merged again, as a `UsageTracker` does in the same flush.
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
  const { dimensions = STORAGE_DIMENSIONS } = options;
  // The process may change its folder, and must still find the same file; the driver ignores spaces around a path.
  const place = path.trim() === ":memory:" ? ":memory:" : resolve(path.trim());
  const openFile = async (attempts = OPEN_ATTEMPTS) => {
    const client = open(place, () => new SqliteDatabase(place, { timeout: BUSY_TIMEOUT_MS }));
    const file = new DatabaseFile(client, place);
    try {
      const db = drizzle(client);
      await retryWhileBusy(options)("opening the database", () => {
        client.pragma("journal_mode = WAL");
        client.pragma("synchronous = FULL");
        client.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
      });
      await migrate(db, options);
      return { file, db, store: storeOn(db, { ...options, dimensions }) };
    } catch (error) {
      const wasReplaced = !file.isInPlace();
      file.leave();
      if (wasReplaced && attempts > 1) return openFile(attempts - 1);
      throw error;
    }
  };
  const keeper = await FileKeeper.begin(openFile);
  const close = () => keeper.close();
  return {
    dimensions,
    losses: () => keeper.losses,
    merge: (tallies, options = {}) => keeper.run("merge", (store) => store.merge(tallies, options), options.signal),
    totals: (...args) => keeper.run("reading the totals", (store) => store.totals(...args)),
    tallies: (period, backends) => keeper.run("reading the tallies", (store) => store.tallies(period, backends)),
    history: (query) => keeper.run("reading the history", (store) => store.history(query)),
    remove: (backend) => keeper.run("remove", (store) => store.remove(backend)),
    claim: (marks) => keeper.run("claim", (store) => store.claim(marks)),
    notices: (channel, query) => keeper.run("taking notices", (store) => store.notices(channel, query)),
    acknowledge: (notices) => keeper.run("acknowledge", (store) => store.acknowledge(notices)),
    grant: (grant) => keeper.run("grant", (store) => store.grant(grant)),
    grants: (query) => keeper.run("reading the grants", (store) => store.grants(query)),
    change: (change) => keeper.run("change", (store) => store.change(change)),
    changes: (query) => keeper.run("reading the changes", (store) => store.changes(query)),
    ...(options.timeline && {
      timeline: (period, query) => keeper.run("reading the timeline", (store) => store.timeline(period, query)),
      foldTimeline: (ages) => keeper.run("folding the timeline", (store) => store.foldTimeline(ages)),
    }),
    heartbeat: (instance) => keeper.run("heartbeat", (store) => store.heartbeat(instance)),
    instances: () => keeper.run("reading the instances", (store) => store.instances()),
    writers: (period) => keeper.run("reading the writers", (store) => store.writers(period)),
    fold: (before) => keeper.run("fold", (store) => store.fold(before)),
    get db() {
      return keeper.current.db;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function open(path: string, connect: () => Database): Database {
  try {
    return connect();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const { code } = driverError(cause);
    throw new StoreOpenError(`cannot open ${path}: ${reason}; its folder must exist and be writable`, code, { cause });
  }
}
