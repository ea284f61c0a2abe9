import type { StoredGrant } from "@usage/counter-core";

/** What is listed of a grant. */
export interface GrantReport {
  readonly id: string;
  readonly amounts: Readonly<Record<string, number>>;
  readonly reason: string;
  /** Null: nobody says. */
  readonly by: string | null;
  /** ISO 8601, by the store's clock. */
  readonly grantedAt: string;
}

export function grantReport({ id, amounts, reason, by, createdAt }: StoredGrant): GrantReport {
  return { id, amounts, reason, by: by ?? null, grantedAt: new Date(createdAt).toISOString() };
}
