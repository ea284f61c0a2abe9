import type { StorageDimension, UsageStore } from "@usage/counter-core";
import type { PostgresJsDatabase } from "drizzle-orm/postgres-js";
import { StoreError, StoreOpenError } from "../errors.ts";
import { DEFAULT_PREFIX } from "../table-prefix.ts";
import { addressText, type ConnectionTarget, parseConnectionString, type ServerAddress } from "./connection-string.ts";
import { Connections } from "./connections.ts";
import { DEFAULT_TIMEOUT_MS, withDeadline } from "./deadline.ts";
import { migrateWith } from "./migrate.ts";
import { type PostgresStoreOptions, storeOn } from "./store.ts";

/** A store that owns its connections. */
export interface OpenPostgresStore {
  /** The drizzle database that the store has open: another one after a statement of the store has failed. */
  readonly db: PostgresJsDatabase;
  /** Waits at most 5 seconds for running statements, then closes the connections. May be called twice. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Connects to `postgres://user:password@host:port/database` and migrates it. Needs the package `postgres`. `timeoutMs` is
 * also the connections' `statement_timeout`, where no pooler refuses that.
 *
 * After a statement has failed for any other reason than its rows, the next one has new connections: to where the host's name
 * leads by then or, of several hosts, to the next one that can be written to.
 *
 * @throws StoreOpenError when the url is none or nothing can be connected to, StoreError or StoreTimeoutError when the
 * database cannot be migrated.
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
  const { prefix = DEFAULT_PREFIX, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  // Imported here, so that those who bring their own database need not have these.
  const [{ default: postgres }, { drizzle }] = await Promise.all([
    import("postgres"),
    import("drizzle-orm/postgres-js"),
  ]);
  const target = parseConnectionString(url);
  const deadline = withDeadline({ timeoutMs });
  const connections = new Connections(target, { driver: { postgres, drizzle }, timeoutMs, deadline });
  const close = () => connections.end();
  try {
    const store = storeOn(connections.run, options);
    await connections.begin().catch((error: unknown) => {
      throw openError(error, target, connections.server);
    });
    await migrateWith(connections.run, prefix);
    return {
      ...store,
      get db() {
        return connections.db;
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function openError(error: unknown, { servers, database }: ConnectionTarget, tried: ServerAddress): StoreOpenError {
  const others = servers.length === 1 ? "" : ` (the last of ${servers.map(addressText).join(", ")})`;
  const place = `${addressText(tried)}${database === undefined ? "" : `, database ${JSON.stringify(database)}`}${others}`;
  const code = error instanceof StoreError ? error.driverCode : undefined;
  const reason = error instanceof Error ? error.message.replace(/^connecting (failed: )?/, "") : String(error);
  return new StoreOpenError(`cannot connect to Postgres at ${place}: ${reason}`, code, { cause: error });
}
