import { STORAGE_DIMENSIONS, type StorageDimension, type UsageStore } from "@usage/counter-core";
import { postgresPlace } from "../config/postgres-url.ts";
import type { StoreConfig } from "../config/proxy-config.ts";
import { messageOf } from "../log/message-of.ts";

export type OpenedStore = UsageStore & { close(): Promise<void> };

/** The configured store cannot be used, so nothing starts: limits are never open. */
export class StoreStartError extends Error {
  readonly code = "USAGE_PROXY_STORE";
  /** Which store, without its password. */
  readonly store: string;

  constructor(config: StoreConfig, cause: unknown) {
    const store = describeStore(config);
    const reason = messageOf(cause);
    super(`the store (${store}) cannot be used: ${reason}${settingOf(config, cause)}`, { cause });
    this.name = "StoreStartError";
    this.store = store;
  }
}

/** Which setting an error of Postgres is about: it knows only what it is connected with. */
function settingOf({ kind }: StoreConfig, cause: unknown): string {
  if (kind !== "postgres" || !(cause instanceof Error) || !("driverCode" in cause)) return "";
  const code = String(cause.driverCode);
  if (/CERT|^UNABLE_TO_/.test(code)) return "; see store.ca, and the host in store.url";
  return /^28|^42501$/.test(code) ? "; see the user and password in store.url" : "";
}

export interface StoreOptions {
  /** What is counted. @default those of storage */
  readonly dimensions?: readonly StorageDimension[];
  /** What the names of its tables begin with. @default that of the backends' counts */
  readonly prefix?: string;
  /** Whether usage is kept by hour and day, too. @default false */
  readonly timeline?: boolean;
}

/**
 * Opens the configured store. Another kind is one more case.
 *
 * @throws StoreStartError
 */
export async function openStore(
  config: StoreConfig,
  { dimensions = STORAGE_DIMENSIONS, ...options }: StoreOptions = {},
): Promise<OpenedStore> {
  try {
    return await open(config, { dimensions, ...options });
  } catch (error) {
    throw new StoreStartError(config, error);
  }
}

async function open(
  config: StoreConfig,
  options: StoreOptions & Required<Pick<StoreOptions, "dimensions">>,
): Promise<OpenedStore> {
  // Imported only where it is configured: nobody else needs the driver.
  switch (config.kind) {
    case "sqlite": {
      const { openSqliteStore } = await import("@usage/store-drizzle/sqlite");
      return openSqliteStore(config.file, options);
    }
    case "postgres": {
      const { openPostgresStore } = await import("@usage/store-drizzle/postgres");
      return openPostgresStore(trusting(config), options);
    }
  }
}

/** As libpq has it: who names the authority wants the server to be verified. */
export function trusting({ url, ca }: Extract<StoreConfig, { kind: "postgres" }>): string {
  // fault: connects to a database that nobody vouches for
  if (ca === undefined) return url;
  return `${url}${url.includes("?") ? "&" : "?"}sslrootcert=${encodeURIComponent(ca.file)}`;
}

/** A store as messages name it: never with its user or password. */
export function describeStore(config: StoreConfig): string {
  if (config.kind === "sqlite") return `SQLite ${config.file}`;
  const place = postgresPlace(config.url);
  return place === undefined ? "Postgres" : `Postgres ${place}`;
}
