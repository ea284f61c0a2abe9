import { statSync, unlinkSync } from "node:fs";
import type { Database } from "better-sqlite3";

/** What SQLite keeps beside a database in WAL mode, under names of its own making. */
const COMPANIONS = ["-wal", "-shm"] as const;

/**
 * A connection to the file of a path. The operating system keeps a file for whoever has it open: once somebody has deleted
 * or replaced it, the driver goes on to report success, and the path holds nothing of that.
 */
export class DatabaseFile {
  readonly client: Database;
  readonly #path: string;
  readonly #main: string | undefined;
  /** By path, from when SQLite has made them. */
  readonly #companions = new Map<string, string | undefined>();
  #isLeft = false;

  /** Right after the client was opened on the path: what is there now is what it opened. */
  constructor(client: Database, path: string) {
    this.client = client;
    this.#path = path;
    if (client.memory) return;
    this.#main = identityOf(path);
    // Where the path is a link, SQLite puts them beside the file that it leads to.
    const [main] = client.pragma("database_list") as readonly { readonly file: string }[];
    for (const suffix of COMPANIONS) this.#companions.set(`${main?.file}${suffix}`, undefined);
  }

  /** Whether what is written to the connection is found at the path. A database in memory always is in its place. */
  isInPlace(): boolean {
    if (this.client.memory) return true;
    if (this.#isLeft || this.#main === undefined || identityOf(this.#path) !== this.#main) return false;
    for (const [path, known] of this.#companions) {
      const found = identityOf(path);
      if (known === undefined) this.#companions.set(path, found);
      else if (found !== known) return false;
    }
    return true;
  }

  get isLeft(): boolean {
    return this.#isLeft;
  }

  /** Closes what is not in its place any more, and leaves nothing at the path that would pass for part of what is there now. */
  leave(): void {
    this.#isLeft = true;
    if (this.client.open) {
      // Whoever moved the file away gets all that it held.
      attempt(() => this.client.pragma("wal_checkpoint(TRUNCATE)"));
      // fault: SQLite leaves the log of a deleted file to the next one
      if (identityOf(this.#path) !== this.#main) this.#deleteCompanions();
    }
    attempt(() => this.client.close());
  }

  close(): void {
    this.client.close();
  }

  /** SQLite would take them for those of the file that is there now. Another process may have made others since. */
  #deleteCompanions(): void {
    for (const [path, known] of this.#companions) {
      if (known !== undefined && identityOf(path) === known) attempt(() => unlinkSync(path));
    }
  }
}

/** The device and the number of what is at a path; undefined where nothing can be seen there. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/** What cannot be tidied up changes nothing: the file is lost either way. */
function attempt(work: () => unknown): void {
  try {
    work();
  } catch {
    // See above.
  }
}
