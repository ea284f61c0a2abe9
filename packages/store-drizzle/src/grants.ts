import type { Grant, GrantReceipt, StoredGrant } from "@usage/counter-core";
import { checkedGrant } from "@usage/counter-core/internal";
import { StoreError } from "./errors.ts";
import type { GrantRow, UsageTable } from "./usage-table.ts";

/** Whoever removes the backend each time between the two statements would hold it up for ever. */
const MAX_ATTEMPTS = 5;

/**
 * Stores a grant, or finds the one that is there under its id. Two statements: one that waits for whoever is inserting the same
 * does not see what that one has inserted.
 *
 * @throws NameError, AmountError, RangeError or TypeError when it is no grant.
 */
export async function storeGrant(table: UsageTable, grant: Grant): Promise<GrantReceipt> {
  const checked = checkedGrant(grant);
  const { by, ...rest } = checked;
  const { period, backend, id } = checked;
  for (let attempts = 0; attempts < MAX_ATTEMPTS; attempts++) {
    const [inserted] = await table.grant({ ...rest, grantedBy: by ?? null });
    if (inserted !== undefined) return { isNew: true, grant: grantOf(inserted) };
    const [known] = await table.grants({ period, backend, id });
    if (known !== undefined) return { isNew: false, grant: grantOf(known) };
  }
  const cause = new Error(`what is stored under its id was removed ${MAX_ATTEMPTS} times meanwhile`);
  throw new StoreError("grant", undefined, "grant again once nobody removes its backend", cause);
}

export function grantOf({ period, backend, id, amounts, reason, grantedBy, createdAt }: GrantRow): StoredGrant {
  const by = grantedBy === null ? {} : { by: grantedBy };
  return { period, backend, id, amounts, reason, ...by, createdAt: createdAt.getTime() };
}
