import { randomUUID } from "node:crypto";

/**
 * Cursors of one store object, each of one period and of one database. Whatever else is taken for a cursor, of another object
 * or another database, says nothing: then everything is read.
 */
export class Cursors {
  readonly #store: string = randomUUID();

  /** @param position - Where the changes of the period are at. */
  at(period: string, position: number, database = ""): string {
    return [this.#store, database, position, period].join(" ");
  }

  /** Where the changes were at; undefined for no cursor, or one that is not of this store, this period and this database. */
  positionIn(cursor: string | undefined, period: string, database = ""): number | undefined {
    if (typeof cursor !== "string") return undefined;
    const position = Number(cursor.split(" ")[2]);
    // fault: trusts a cursor of another period
    return Number.isSafeInteger(position) && cursor === this.at(period, position, database) ? position : undefined;
  }
}
