/** What the names of the tables begin with unless the user says otherwise. */
export const DEFAULT_PREFIX = "usage_";

const PREFIX = /^[a-z_][a-z0-9_]{0,39}$/;

/** Where the tables of a store are. */
export interface PrefixOptions {
  /**
   * What the names of its tables begin with: stores with different ones, in one database, know nothing of each other.
   * @default "usage_"
   */
  readonly prefix?: string;
}

/** @throws RangeError unless it is a name that no database needs quotes for or cuts. */
export function assertPrefix(prefix: unknown): asserts prefix is string {
  if (typeof prefix !== "string" || !PREFIX.test(prefix)) {
    const found = typeof prefix === "string" ? JSON.stringify(prefix.slice(0, 64)) : String(prefix);
    throw new RangeError(
      `prefix must be 1 to 40 lower-case letters, digits and underscores, no digit first, like "billing_", got ${found}`,
    );
  }
}

/** The text of a migration, for tables of that prefix. */
export function withPrefix(text: string, prefix: string): string {
  assertPrefix(prefix);
  // fault: tables of all prefixes are the same
  return text.replaceAll(/\busage_(?=(tallies|totals|folds|marks|grants|timeline|instances|changes))/g, prefix);
}
