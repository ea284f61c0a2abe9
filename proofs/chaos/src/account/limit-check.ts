import { Book } from "../fleet/book.ts";
import type { Use } from "../fleet/use-log.ts";
import type { RedisLoss } from "./account.ts";
import type { WriterRecord } from "./writer-record.ts";

/** Whoever has not exchanged its counts for so much of a lease may be out of it. */
const LATE_RATIO = 0.8;
/** How long before and after that a use may concern it. */
const AROUND_MS = 1_000;

/** What became of one limit. */
export interface LimitAccount {
  readonly period: string;
  readonly backend: string;
  /** The largest that anybody worked with. */
  readonly limit: number;
  /** The most that was used and kept free at any moment, by all that ever ran. */
  readonly most: number;
  /** The most by which that passed the largest limit that anybody had worked with by then. */
  readonly excess: number;
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
    const before = accounts.get(key) ?? { limit, most: 0, excess: 0, used: 0, atFirstRefusal: undefined };
    const used = before.used + amount;
    const largest = Math.max(before.limit, limit);
    accounts.set(key, {
      period,
      backend,
      limit: largest,
      most: Math.max(before.most, used),
      excess: Math.max(before.excess, used - largest),
      used,
      atFirstRefusal: before.atFirstRefusal ?? (amount === 0 ? used : undefined),
    });
  }
  return [...accounts.values()];
}

export interface LimitEvidence {
  /** What was used of limits, by writer. */
  readonly uses: ReadonlyMap<string, readonly Use[]>;
  readonly writers: readonly WriterRecord[];
  /** What the database holds, by writer. */
  readonly stored: ReadonlyMap<string, Book>;
  readonly losses: readonly RedisLoss[];
  readonly leaseMs: number;
}

export interface LimitsChecked {
  readonly limits: readonly (LimitAccount & { readonly allowed: number })[];
  readonly problems: readonly string[];
}

/**
 * Whether no limit was passed. It may be where Redis lost what it knew: by what those had used and kept free who could not tell it
 * again, and of which the store does not know either, since they are dead or were out of reach. Of whoever came to rest, what it
 * was let use is what it recorded.
 */
export function checkLimits({ uses, writers, stored, losses, leaseMs }: LimitEvidence): LimitsChecked {
  // The clock of uses has begun at some other time.
  const zeroMs = Date.now() - Number(process.hrtime.bigint() / 1_000_000n);
  const lastLossMs = Math.max(...losses.map(({ untilMs }) => untilMs), Number.NEGATIVE_INFINITY);
  const unknown = new Book();
  const problems: string[] = [];
  for (const record of writers) {
    const own = uses.get(record.writer) ?? [];
    const of = (some: readonly Use[]): Book => {
      return Book.of(some.map(({ period, backend, amount }) => [period, backend, "apiRequests", amount]));
    };
    const isLate = (use: Use): boolean => wasSilent(record, LATE_RATIO * leaseMs, zeroMs + use.atUs / 1_000);
    const lost = record.end === "killed" ? own : own.filter(isLate);
    const known = record.end === "killed" ? stored.get(record.writer) : undefined;
    for (const [period, backend, dimension, amount] of of(lost).entries()) {
      const more = Math.max(0, amount - (known?.get(period, backend, dimension) ?? 0));
      unknown.add(period, backend, { [dimension]: more });
    }
    if (record.recorded === undefined) continue;
    for (const [period, backend, dimension, amount] of of(own).entries()) {
      const counted = record.recorded.get(period, backend, dimension);
      if (counted !== amount) {
        problems.push(`${record.writer} was let use ${amount} of ${backend} in ${period}, and recorded ${counted}`);
      }
    }
  }
  const limits = accountLimits(uses.values()).map((limit) => {
    const first = Math.min(...[...uses.values()].flat().flatMap((use) => (isOf(use, limit) ? [use.atUs] : [])));
    const isExcused = lastLossMs >= zeroMs + first / 1_000;
    return { ...limit, allowed: isExcused ? unknown.get(limit.period, limit.backend, "apiRequests") : 0 };
  });
  for (const { period, backend, limit, excess, allowed } of limits) {
    if (excess > allowed) {
      problems.push(`the limit of ${backend} in ${period}, ${limit}, was passed by ${excess}, ${allowed} may be`);
    }
  }
  return { limits, problems };
}

function isOf(use: Use, { period, backend }: LimitAccount): boolean {
  return use.period === period && use.backend === backend;
}

function wasSilent({ silences }: WriterRecord, forMs: number, atMs: number): boolean {
  return silences.some(({ fromMs, toMs }) => {
    return toMs - fromMs >= forMs && atMs >= fromMs - AROUND_MS && atMs <= toMs + AROUND_MS;
  });
}
