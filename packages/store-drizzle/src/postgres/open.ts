import { STORAGE_DIMENSIONS, type StorageDimension, type UsageStore } from "@usage/counter-core";
import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import type { Sql } from "postgres";
import { StoreOpenError } from "../errors.ts";
import { DEFAULT_TIMEOUT_MS } from "./deadline.ts";
import { migrate } from "./migrate.ts";
import { type PostgresStoreOptions, postgresUsageStore } from "./store.ts";

/** Two at least: postgres.js can hang for long on a single connection that died while idle. */
const MAX_CONNECTIONS = 4;
const CONNECT_TIMEOUT_SECONDS = 10;
const IDLE_TIMEOUT_SECONDS = 60;
const END_TIMEOUT_SECONDS = 5;
/** postgres.js itself would wait up to 20 seconds before it connects again, longer than a statement may take. */
const MAX_RECONNECT_SECONDS = 0.5;

/** A store that owns its connections. */
export interface OpenPostgresStore {
  /** The drizzle database that the store opened. */
  readonly db: PostgresJsDatabase;
  /** Waits at most 5 seconds for running statements, then closes the connections. May be called twice. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Connects to `postgres://user:password@host:port/database` and migrates it. Needs the package `postgres`. `timeoutMs` is
 * also the connections' `statement_timeout`.
 *
 * @throws StoreOpenError when the url is none, StoreError or StoreTimeoutError when the server cannot be reached or migrated.
 */
export function openPostgresStore<D extends string>(
  url: string,
  options: PostgresStoreOptions<D> & { readonly dimensions: readonly D[] },
): Promise<UsageStore<D> & OpenPostgresStore>;
export function openPostgresStore(
  url: string,
  options?: PostgresStoreOptions<StorageDimension>,
): Promise<UsageStore & OpenPostgresStore>;
export async function openPostgresStore(
  url: string,
  options: PostgresStoreOptions = {},
): Promise<UsageStore<string> & OpenPostgresStore> {
  const { dimensions = STORAGE_DIMENSIONS, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  // Imported here, so that those who bring their own database need not have these.
  const [{ default: postgres }, { drizzle }] = await Promise.all([
    import("postgres"),
    import("drizzle-orm/postgres-js"),
  ]);
  const client = connect(() =>
    postgres(url, {
      max: MAX_CONNECTIONS,
      connect_timeout: CONNECT_TIMEOUT_SECONDS,
      idle_timeout: IDLE_TIMEOUT_SECONDS,
      connection: { statement_timeout: timeoutMs },
      backoff: (failures) => Math.min(2 ** failures / 100, MAX_RECONNECT_SECONDS),
      // Nothing here needs them, and a connection that dies while it fetches them is an unhandled rejection.
      fetch_types: false,
      onnotice: () => {},
    }),
  );
  const close = () => client.end({ timeout: END_TIMEOUT_SECONDS });
  try {
    const db = drizzle(client);
    const store = postgresUsageStore(db, { dimensions, timeoutMs });
    await migrate(db, { timeoutMs });
    return { ...store, db, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

function connect(make: () => Sql): Sql {
  try {
    return make();
  } catch {
    // Without a cause and without the url itself: both may hold a password.
    throw new StoreOpenError("the url of the database is not like postgres://user:password@host:5432/database");
  }
}
