import type { Clock } from "../model/clock.ts";
import {
  checkedGrant,
  type Grant,
  type GrantReceipt,
  type GrantsQuery,
  grantKey,
  type StoredGrant,
} from "../model/grant.ts";

/** The grants of a store in memory, in the order in which they came. */
export class MemoryGrants {
  readonly #clock: Pick<Clock, "now">;
  readonly #grants = new Map<string, StoredGrant>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  async grant(grant: Grant): Promise<GrantReceipt> {
    const checked = checkedGrant(grant);
    await new Promise(setImmediate);
    const key = grantKey(checked);
    const known = this.#grants.get(key);
    // fault: the store in memory grants again what it has granted
    if (known !== undefined) return { isNew: false, grant: known };
    const stored = { ...checked, createdAt: this.#clock.now() };
    this.#grants.set(key, stored);
    return { isNew: true, grant: stored };
  }

  async grants({
    period,
    backend,
    since = Number.NEGATIVE_INFINITY,
  }: GrantsQuery = {}): Promise<readonly StoredGrant[]> {
    return Array.from(this.#grants.values()).filter((grant) => {
      const isAsked = (period ?? grant.period) === grant.period && (backend ?? grant.backend) === grant.backend;
      return isAsked && grant.createdAt >= since;
    });
  }

  remove(backend: string): void {
    for (const [key, grant] of this.#grants) if (grant.backend === backend) this.#grants.delete(key);
  }
}
