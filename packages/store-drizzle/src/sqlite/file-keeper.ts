import { StoreError } from "../errors.ts";
import type { TableUsageStore } from "../table-usage-store.ts";
import type { DatabaseFile } from "./database-file.ts";

/** A file that is open and migrated, and the store on it. */
export interface OpenedFile {
  readonly file: DatabaseFile;
  readonly store: TableUsageStore;
}

/** Whoever replaces a file more often while one operation runs would hold it up for ever. */
const MAX_ATTEMPTS = 5;

/**
 * Sees to it that operations run on the file that is at the path: before each, and after it, since what was written to a
 * file that was deleted meanwhile is not stored. Where it is another one, or none, opens what is there, and runs it again.
 */
export class FileKeeper<F extends OpenedFile> {
  readonly #open: () => Promise<F>;
  #current: F;
  #losses = 0;
  #reopening: Promise<F> | undefined;
  #isClosed = false;

  private constructor(open: () => Promise<F>, first: F) {
    this.#open = open;
    this.#current = first;
  }

  static async begin<F extends OpenedFile>(open: () => Promise<F>): Promise<FileKeeper<F>> {
    return new FileKeeper(open, await open());
  }

  get current(): F {
    return this.#current;
  }

  /** How often the file was found to be another one. */
  get losses(): number {
    return this.#losses;
  }

  /** `work` may be done several times; only the last one counts. */
  async run<T>(operation: string, work: (store: TableUsageStore) => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let attempts = 0; attempts < MAX_ATTEMPTS; attempts++) {
      const { file, store } = await this.#inPlace();
      try {
        const result = await work(store);
        // fault: SQLite trusts a file that was deleted meanwhile
        if (this.#isClosed || file.isInPlace()) return result;
      } catch (error) {
        if (this.#isClosed || signal?.aborted || file.isInPlace()) throw error;
      }
    }
    const cause = new Error(`the file was deleted or replaced ${MAX_ATTEMPTS} times meanwhile`);
    throw new StoreError(
      operation,
      undefined,
      "find who does that, then call it again: nothing is counted twice",
      cause,
    );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#reopening?.catch(() => {});
    this.#current.file.close();
  }

  async #inPlace(): Promise<F> {
    // fault: SQLite goes on in a file that was deleted
    if (this.#isClosed || this.#current.file.isInPlace()) return this.#current;
    this.#reopening ??= this.#reopen().finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  async #reopen(): Promise<F> {
    const { file } = this.#current;
    // Once for each loss, however often it takes to open what is there.
    if (!file.isLeft) this.#losses += 1;
    // Before the next one is opened: two connections of a process would share what SQLite keeps beside the file.
    file.leave();
    this.#current = await this.#open();
    return this.#current;
  }
}
