import { Book } from "../fleet/book.ts";
import type { WriterRecord } from "./writer-record.ts";

/** An act by which Redis lost counts that it had confirmed. */
export interface RedisLoss {
  readonly kind: string;
  /** What was confirmed until then may be lost. */
  readonly untilMs: number;
  /** Those that are gone, where others stayed. */
  readonly keys?: readonly string[];
}

/** A hash that is gone by itself is looked for once a minute; whoever holds it may be killed before. */
const SINGLE_HASH_UNSEEN_MS = 60_000;

/** What became of one writer's counts. */
export interface WriterAccount {
  readonly writer: string;
  readonly end: WriterRecord["end"];
  readonly planned: Book;
  readonly stored: Book;
  /** Recorded at most, and never shared as far as known: gone with the process. */
  readonly lostUnshared: Book;
  /** Shared, and gone with Redis before anybody had stored it. */
  readonly lostWithRedis: Book;
}

export interface Account {
  readonly writers: readonly WriterAccount[];
  readonly stored: Book;
  readonly problems: readonly string[];
}

export interface Evidence {
  readonly writers: readonly WriterRecord[];
  /** What the database holds, by writer. */
  readonly stored: ReadonlyMap<string, Book>;
  readonly losses: readonly RedisLoss[];
}

/**
 * Compares what each writer counted with what is stored of it. Of one that ended in order, all is stored, exactly. Of one that was
 * killed, nothing is stored that was not planned, all that it knew to be stored is, and what it had shared is missing only where
 * Redis lost it. Of one that runs, nothing is stored that was not planned.
 */
export function account({ writers, stored, losses }: Evidence): Account {
  const problems: string[] = [];
  const accounts = writers.map((record): WriterAccount => {
    const book = stored.get(record.writer) ?? new Book();
    return accountOf(record, book, losses, (problem) => problems.push(problem));
  });
  const known = new Set(writers.map(({ writer }) => writer));
  for (const [writer, book] of stored) {
    if (!known.has(writer) && book.entries().length > 0)
      problems.push(`the store has counts of ${writer}, whom nobody started`);
  }
  return { writers: accounts, stored: Book.sumOf(stored.values()), problems };
}

function accountOf(
  record: WriterRecord,
  stored: Book,
  losses: readonly RedisLoss[],
  complain: (problem: string) => void,
): WriterAccount {
  const { writer, end, planned, recorded } = record;
  const pushed = record.pushed();
  const isExcused = (backend: string): boolean =>
    record.isReconciled || losses.some((loss) => unseenUntilMs(loss, backend) >= record.pushedSinceMs);
  const lostUnshared = new Book();
  const lostWithRedis = new Book();
  const keys = Book.sumOf([planned, recorded ?? new Book(), stored, record.stored]).entries();
  for (const [period, backend, dimension] of keys) {
    const of = (book: Book): number => book.get(period, backend, dimension);
    const amount = of(stored);
    const what = `of ${writer} (${end ?? "running"}): ${amount} ${dimension} of ${backend} in ${period} stored`;
    // One that runs may have stored more since the database was read.
    if (end !== undefined && amount < of(record.stored)) {
      complain(`${what}, which had confirmed ${of(record.stored)}: settled counts are lost`);
    }
    if (amount > of(planned)) complain(`${what}, and ${of(planned)} planned at most: counted more than once`);
    if (end === "stopped" && recorded !== undefined) {
      if (amount !== of(recorded)) complain(`${what}, and ${of(recorded)} recorded when it ended in order`);
      continue;
    }
    if (end !== "killed") continue;
    const missing = Math.max(0, of(pushed) - amount);
    if (missing > 0 && !isExcused(backend))
      complain(`${what}, and ${of(pushed)} shared, which Redis did not lose: unexplained loss`);
    if (missing > 0) lostWithRedis.add(period, backend, { [dimension]: missing });
    lostUnshared.add(period, backend, { [dimension]: Math.max(0, of(planned) - Math.max(amount, of(pushed))) });
  }
  return { writer, end, planned: recorded ?? planned, stored, lostUnshared, lostWithRedis };
}

/** Until when whoever holds a backend may take for shared what is gone. */
function unseenUntilMs({ untilMs, keys = [] }: RedisLoss, backend: string): number {
  const isOwnHash = (key: string): boolean => key.endsWith(`:${encodeURIComponent(backend)}`);
  return keys.some(isOwnHash) ? untilMs + SINGLE_HASH_UNSEEN_MS : untilMs;
}
