import type { Use } from "../fleet/use-log.ts";

/** What became of one limit. */
export interface LimitAccount {
  readonly period: string;
  readonly backend: string;
  /** The largest that anybody worked with. */
  readonly limit: number;
  /** The most that was used and kept free at any moment, by all that ever ran. */
  readonly most: number;
  readonly used: number;
  /** What of it was used and kept free when somebody was refused for the first time. */
  readonly atFirstRefusal: number | undefined;
}

/** Of each limit in each period. */
export function accountLimits(uses: Iterable<readonly Use[]>): readonly LimitAccount[] {
  const all = [...uses].flat().sort((a, b) => a.atUs - b.atUs);
  const accounts = new Map<string, LimitAccount>();
  for (const { period, backend, amount, limit } of all) {
    const key = JSON.stringify([period, backend]);
    const before = accounts.get(key) ?? { period, backend, limit, most: 0, used: 0, atFirstRefusal: undefined };
    const used = before.used + amount;
    accounts.set(key, {
      ...before,
      limit: Math.max(before.limit, limit),
      most: Math.max(before.most, used),
      used,
      atFirstRefusal: before.atFirstRefusal ?? (amount === 0 ? used : undefined),
    });
  }
  return [...accounts.values()];
}
