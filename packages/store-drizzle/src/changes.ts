import type { Change, ChangesQuery, StoredChange } from "@usage/counter-core";
import { assertRevision, checkedChange } from "@usage/counter-core/internal";
import { StoreError } from "./errors.ts";
import type { ChangeRow, UsageTable } from "./usage-table.ts";

/** Of many operators at once each attempt lets one through. */
const MAX_ATTEMPTS = 100;

/** Stores a change under the next revision, unless it follows one that is not the last. @throws RangeError when it is no change. */
export async function storeChange(table: UsageTable, change: Change): Promise<StoredChange | undefined> {
  const { subject, setting, value, before, by, reason, follows, replaces } = checkedChange(change);
  const row = { subject, setting, value, before, changedBy: by ?? null, reason: reason ?? null };
  for (let attempts = 0; attempts < MAX_ATTEMPTS; attempts++) {
    const [inserted] = await table.change(row, follows);
    // Afterwards: whoever looks in between finds both, and where this fails the next one replaces all.
    // fault: keeps what a change replaces
    if (inserted !== undefined && replaces) await table.removeChanges(inserted);
    if (inserted !== undefined) return changeOf(inserted);
    // Another setting may have taken the revision.
    if (follows !== undefined && (await table.revisionOf(row)) !== follows) return undefined;
  }
  const cause = new Error(`other settings were changed ${MAX_ATTEMPTS} times meanwhile`);
  throw new StoreError("change", undefined, "change it again", cause);
}

/** @throws RangeError for a revision that is none. */
export async function readChanges(table: UsageTable, { after = 0 }: ChangesQuery): Promise<readonly StoredChange[]> {
  assertRevision("after", after);
  return (await table.changes(after)).map(changeOf);
}

function changeOf({ changedBy, reason, createdAt, ...rest }: ChangeRow): StoredChange {
  return {
    ...rest,
    ...(changedBy !== null && { by: changedBy }),
    ...(reason !== null && { reason }),
    createdAt: createdAt.getTime(),
  };
}
