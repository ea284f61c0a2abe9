import postgres, { type Sql } from "postgres";
import { Book, type BookEntry } from "./book.ts";

interface Row {
  readonly writer: string;
  readonly period: string;
  readonly backend: string;
  readonly dimension: string;
  readonly amount: string;
}

/** What a database holds of the backends whose names begin so, read on connections of its own. */
export class StoredUsage {
  readonly #sql: Sql;
  readonly #prefix: string;

  constructor(databaseUrl: string, prefix = "") {
    this.#sql = postgres(databaseUrl, { max: 2, onnotice: () => {} });
    this.#prefix = prefix;
  }

  /** All generations of a writer together. */
  async byWriter(): Promise<ReadonlyMap<string, Book>> {
    const rows = await this.#sql<Row[]>`
      select split_part(writer, '.', 1) as writer, period, backend, dimension, sum(amount)::text as amount
      from usage_tallies where starts_with(backend, ${this.#prefix}) group by 1, 2, 3, 4`;
    const books = Map.groupBy(rows, ({ writer }) => writer);
    return new Map([...books].map(([writer, own]) => [writer, Book.of(own.map(entryOf))]));
  }

  /** Of all writers, as the view of totals says. */
  async totals(): Promise<Book> {
    const rows = await this.#sql<Row[]>`
      select period, backend, dimension, amount::text as amount from usage_totals
      where starts_with(backend, ${this.#prefix})`;
    return Book.of(rows.map(entryOf));
  }

  async end(): Promise<void> {
    await this.#sql.end({ timeout: 1 });
  }
}

function entryOf({ period, backend, dimension, amount }: Row): BookEntry {
  return [period, backend, dimension, Number(amount)];
}
