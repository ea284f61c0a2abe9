import { connect, type Socket } from "node:net";
import { sql } from "drizzle-orm";
import type { drizzle, PostgresJsDatabase } from "drizzle-orm/postgres-js";
import type postgres from "postgres";
import { StoreError } from "../errors.ts";
import { type ConnectionTarget, type ServerAddress, socketPath } from "./connection-string.ts";
import { type Deadline, isRefusal, type Run } from "./deadline.ts";

/** Two at least: postgres.js can hang for long on a single connection that died while idle. */
const MIN_CONNECTIONS = 2;
const MAX_CONNECTIONS = 4;
const CONNECT_TIMEOUT_SECONDS = 10;
const IDLE_TIMEOUT_SECONDS = 60;
const END_TIMEOUT_SECONDS = 5;
/** postgres.js itself would wait up to 20 seconds before it connects again, longer than a statement may take. */
const MAX_RECONNECT_SECONDS = 0.5;

/** The driver, imported by whoever needs it. */
export interface Driver {
  readonly postgres: typeof postgres;
  readonly drizzle: typeof drizzle;
}

export interface ConnectionsOptions {
  readonly driver: Driver;
  readonly timeoutMs: number;
  readonly deadline: Deadline;
}

/** Connections to one server, and the database on them. */
interface Pool {
  readonly db: PostgresJsDatabase;
  end(): Promise<void>;
}

/**
 * Runs statements on connections of its own, and makes new ones after a statement has failed for any other reason than its
 * rows. A connection lives for half an hour, and stays with a server that is not any more the one that the host's name leads
 * to: read-only after a failover, full, about to shut down, silent. To merge twice does no harm and to connect takes
 * milliseconds, so nobody needs to tell which of all errors are about the server.
 */
export class Connections {
  readonly #target: ConnectionTarget;
  readonly #options: ConnectionsOptions;
  readonly #ending = new Set<Promise<void>>();
  /** A pooler may refuse it. Then only the deadline here limits a statement. */
  #setsStatementTimeout = true;
  #at = 0;
  #ended = false;
  #current: Pool;
  /** The search for a server that can be written to, where there are several; operations that come meanwhile wait for it. */
  #choosing: Promise<void> | undefined;

  constructor(target: ConnectionTarget, options: ConnectionsOptions) {
    this.#target = target;
    this.#options = options;
    this.#current = this.#open();
  }

  get db(): PostgresJsDatabase {
    return this.#current.db;
  }

  /** The server that statements go to. */
  get server(): ServerAddress {
    return this.#target.servers[this.#at] as ServerAddress;
  }

  /** Connects for the first time. Rejects with why the last server that was tried will not do. */
  async begin(): Promise<void> {
    this.#choose();
    const setsTimeout = this.#setsStatementTimeout;
    const look = () => this.run("connecting", (db) => db.execute(sql`select 1`));
    await look().catch((error: unknown) => {
      if (this.#setsStatementTimeout === setsTimeout) throw error;
      return look();
    });
  }

  readonly run: Run<PostgresJsDatabase> = async (operation, statement) => {
    let used = this.#current;
    try {
      return await this.#options.deadline(operation, async () => {
        await this.#choosing;
        used = this.#current;
        return await statement(used.db);
      });
    } catch (error) {
      // fault: Postgres's connections stay with a server that fails
      if (!isRefusal(error) && used === this.#current && !this.#ended) this.#renew(error);
      throw error;
    }
  };

  /** Waits at most 5 seconds for running statements. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#retire();
    await this.#choosing;
    await Promise.all(this.#ending);
  }

  #renew(error: unknown): void {
    this.#move(error);
    this.#choose();
  }

  /** To the next server, in a circle; or to the same one, in another way, where that was the reason. */
  #move(error: unknown): void {
    this.#retire();
    if (this.#setsStatementTimeout && isAboutStatementTimeout(error)) this.#setsStatementTimeout = false;
    else this.#at = (this.#at + 1) % this.#target.servers.length;
    this.#current = this.#open();
  }

  /** Of several servers, takes the first that will do; where none does, the next operation says why. */
  #choose(): void {
    const { servers, anyServer } = this.#target;
    if (servers.length === 1 || this.#choosing !== undefined) return;
    const choose = async (): Promise<void> => {
      for (let moves = 0; moves <= servers.length; moves++) {
        try {
          const { db } = this.#current;
          const [row] = await this.#options.deadline("connecting", () => db.execute(sql`show transaction_read_only`));
          // fault: takes the first of several hosts, though it is read-only
          if (this.#ended || anyServer || row?.transaction_read_only === "off") return;
          this.#move(undefined);
        } catch (error) {
          // fault: Postgres's search for a server goes on once the store is closed
          if (this.#ended) return;
          this.#move(error);
        }
      }
    };
    this.#choosing = choose().finally(() => {
      this.#choosing = undefined;
    });
  }

  #retire(): void {
    const ending = this.#current.end().finally(() => void this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  #open(): Pool {
    const {
      settings,
      tls,
      user,
      password,
      database,
      keepAliveSeconds,
      maxConnections = MAX_CONNECTIONS,
    } = this.#target;
    const { driver, timeoutMs } = this.#options;
    const { server } = this;
    const sockets = new Set<Socket>();
    const secured = tls === false || "folder" in server ? false : tls;
    // A name of its own: the types of postgres.js lack two of these.
    const options = {
      ...("host" in server ? server : { path: socketPath(server), port: server.port }),
      // Its own would stay open for a quarter of an hour where the server is silent, and keep the process from ending.
      socket: () => {
        for (const socket of sockets) if (socket.destroyed) sockets.delete(socket);
        const socket = "host" in server ? connect({ ...server }) : connect({ path: socketPath(server) });
        sockets.add(socket);
        // postgres.js listens some microtasks later: a connect that fails at once would end the process.
        socket.once("error", (error) => {
          if (socket.listenerCount("error") > 0) return;
          setImmediate(() => {
            socket.emit("error", error);
            socket.emit("close", true);
          });
        });
        return Object.assign(socket, server);
      },
      ...(user !== undefined && { user }),
      ...(password !== undefined && { password }),
      ...(database !== undefined && { database }),
      ssl: typeof secured === "object" ? secured.options : secured,
      ...(typeof secured === "object" && secured.direct && { sslnegotiation: "direct" }),
      max: Math.min(MAX_CONNECTIONS, Math.max(MIN_CONNECTIONS, maxConnections)),
      connect_timeout: this.#connectTimeoutSeconds(),
      idle_timeout: IDLE_TIMEOUT_SECONDS,
      ...(keepAliveSeconds !== undefined && { keep_alive: keepAliveSeconds }),
      connection: { ...(this.#setsStatementTimeout && { statement_timeout: timeoutMs }), ...settings },
      backoff: (failures: number) => Math.min(2 ** failures / 100, MAX_RECONNECT_SECONDS),
      // Nothing here needs them, and a connection that dies while it fetches them is an unhandled rejection.
      fetch_types: false,
      prepare: false,
      onnotice: () => {},
    };
    const client = driver.postgres(options);
    const end = async (): Promise<void> => {
      await client.end({ timeout: END_TIMEOUT_SECONDS }).catch(() => {});
      for (const socket of sockets) socket.destroy();
    };
    return { db: driver.drizzle(client), end };
  }

  /** Where there are several servers, one that is silent must leave time for the others. */
  #connectTimeoutSeconds(): number {
    const { servers, connectTimeoutSeconds = CONNECT_TIMEOUT_SECONDS } = this.#target;
    if (servers.length === 1) return connectTimeoutSeconds;
    return Math.min(connectTimeoutSeconds, this.#options.timeoutMs / 1_000 / (servers.length + 1));
  }
}

/** PgBouncer refuses what it is not told to ignore. */
function isAboutStatementTimeout(error: unknown): boolean {
  return error instanceof StoreError && /startup parameter.*statement_timeout/s.test(error.message);
}
