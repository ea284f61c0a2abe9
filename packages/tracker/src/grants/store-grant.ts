import type { Clock, Grant, GrantReceipt, UsageStore } from "@usage/counter-core";
import { areSameAmounts, inTime } from "@usage/counter-core/internal";
import { FlushTimeoutError, GrantConflictError } from "../errors.ts";

/** Stores a grant once. @throws GrantConflictError where other amounts are stored under its id; FlushTimeoutError. */
export async function storeGrant(
  store: Pick<UsageStore, "grant">,
  grant: Grant,
  clock: Clock,
  timeoutMs: number,
): Promise<GrantReceipt> {
  const stored = store.grant?.bind(store);
  if (stored === undefined) throw new TypeError("this store keeps no grants: it has no method `grant`");
  const late = (): Error => new FlushTimeoutError(timeoutMs, "storing the grant");
  const receipt = await inTime(clock, timeoutMs, late, () => stored(grant));
  // fault: takes other amounts under the same id for the same grant
  if (!areSameAmounts(receipt.grant.amounts, grant.amounts)) throw new GrantConflictError(receipt.grant);
  return receipt;
}
