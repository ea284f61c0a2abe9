import type { Clock, StorageDimension, Usage } from "@usage/counter-core";
import { assertDelay, type Rows } from "@usage/counter-core/internal";
import type { ForgivenAmounts, SharedCounts, Silent } from "../server/shared-counts.ts";
import type { BucketCalls } from "./bucket-calls.ts";
import type { BucketState } from "./bucket-state.ts";
import type { Chores } from "./chores.ts";
import type { RedisEvent } from "./events.ts";
import type { Exchanges } from "./exchanges.ts";
import { outlasting } from "./leases.ts";
import type { Replication } from "./replication.ts";
import type { SharedPeriod } from "./shared-period.ts";

/** How often what others hold is looked at, as a part of `forgiveAfterMs`; in milliseconds at least and at most. */
const LOOKS = 10;
const SHORTEST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 60_000;
/** Backends in one exchange: others get their turn in between. */
const IN_A_ROW = 16;

export interface ForgiveOptions {
  /**
   * The only writer that is meant, whether it lives or not: what it admits before it hears of it passes the limit as well.
   * @default all that have said nothing for longer than a lease
   */
  readonly writer?: string;
}

/** What a writer was forgiven: others may use it, and limits may be passed by as much. */
export interface Forgiven<D extends string = StorageDimension> {
  readonly writer: string;
  readonly usage: Usage<D>;
}

export interface ForgivingParts {
  readonly rows: Rows;
  readonly dimensions: readonly string[];
  readonly clock: Clock;
  readonly counts: SharedCounts;
  readonly exchanges: Exchanges;
  readonly calls: BucketCalls;
  readonly replication: Replication;
  readonly chores: Chores;
  readonly emit: (event: RedisEvent) => void;
  readonly isSharing: () => boolean;
  readonly leaseMs: number;
  /** Never where it is undefined. */
  readonly forgiveAfterMs: number | undefined;
}

/**
 * Writes off what the dead keep from others: their slices, and what their holds kept free. Dead is who has not said for longer than
 * a lease that it holds anything: it has stopped using its slice by then, if it lives, and whoever has an open hold says so again
 * several times a lease.
 */
export class Forgiving {
  readonly #parts: ForgivingParts;
  readonly #pauseMs: number;
  #isLooking = false;
  #lookAgainAtMs = Number.NEGATIVE_INFINITY;

  /** @throws RangeError for a time that is out of range. */
  constructor(parts: ForgivingParts) {
    const { forgiveAfterMs } = parts;
    if (forgiveAfterMs !== undefined) assertDelay("forgiveAfterMs", forgiveAfterMs);
    this.#parts = parts;
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, (forgiveAfterMs ?? 0) / LOOKS));
  }

  /** Looks now and then at what others hold, where that is wanted. Holds nobody up. */
  tend(): void {
    const { clock, chores, forgiveAfterMs, leaseMs } = this.#parts;
    const nowMs = clock.elapsed();
    if (forgiveAfterMs === undefined || this.#isLooking || nowMs < this.#lookAgainAtMs) return;
    this.#lookAgainAtMs = nowMs + this.#pauseMs;
    this.#isLooking = true;
    void chores
      .run("forgive", () => this.#look(forgiveAfterMs + outlasting(leaseMs)))
      .finally(() => {
        this.#isLooking = false;
      });
  }

  /** By hand. Rejects where Redis is away. */
  forgive(row: number, { writer }: ForgiveOptions): Promise<readonly ForgivenAmounts[]> {
    const { exchanges, counts, replication, rows, leaseMs } = this.#parts;
    const shared = replication.current();
    const bucket = replication.bucketOf(shared, row);
    const backend = rows.nameOf(row);
    const silent = writer === undefined ? { silentMs: outlasting(leaseMs) } : { silentMs: 0, writer };
    return exchanges.run(
      () => counts.forgive(bucket, backend, silent),
      (forgiven) => {
        this.#tell(shared, backend, forgiven);
        return forgiven;
      },
    );
  }

  async #look(silentMs: number): Promise<void> {
    const { rows, counts, calls, replication, isSharing } = this.#parts;
    const shared = replication.current();
    const silent: Silent = { silentMs };
    const kept: { readonly bucket: BucketState; readonly backend: string }[] = [];
    for (let row = 0; row < rows.end; row++) {
      if (!rows.isUsed(row) || !replication.slices.isHeldElsewhere(shared, row)) continue;
      kept.push({ bucket: replication.bucketOf(shared, row), backend: rows.nameOf(row) });
    }
    for (let start = 0; start < kept.length && isSharing(); start += IN_A_ROW) {
      await calls.each(
        kept.slice(start, start + IN_A_ROW),
        ({ bucket, backend }) => counts.forgive(bucket, backend, silent),
        ({ backend }, forgiven) => this.#tell(shared, backend, forgiven),
        // Whoever pushes to it tells why it cannot be used.
        () => {},
      );
    }
  }

  #tell(shared: SharedPeriod, backend: string, forgiven: readonly ForgivenAmounts[]): void {
    const { rows, dimensions, emit } = this.#parts;
    const row = rows.find(backend);
    if (row !== undefined && forgiven.length > 0) shared.apply(row, { kind: "changed" });
    for (const { writer, amounts } of forgiven) {
      const usage = Object.fromEntries(amounts.flatMap((amount, d) => (amount > 0 ? [[dimensions[d], amount]] : [])));
      emit({ kind: "forgiven", period: shared.cells.period.key, backend, writer, usage });
    }
  }
}
