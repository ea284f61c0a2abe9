import type { Clock, ReadRows, Tally } from "@usage/counter-core";
import type { Rows } from "@usage/counter-core/internal";
import { Attempts } from "./attempts.ts";
import type { Brought, Pushes } from "./pushes.ts";
import type { Replication } from "./replication.ts";
import type { SharedPeriod } from "./shared-period.ts";

/** Rows of the store in one request: a script can take some thousand values. */
const ROWS_PER_REQUEST = 500;

/** The period whose rows are asked for, and of each backend the epoch that is known before. */
interface Asked {
  readonly shared: SharedPeriod;
  readonly epochs: ReadonlyMap<string, string>;
}

/**
 * Brings what the store has and the shared counts lack: after a loss, and where somebody could reach the store and not Redis.
 * The last of a backend's rows brings a mark: the epoch that was known before they were read. Only if the bucket still has that
 * epoch then, it is set; so a hash that bears its bucket's epoch has all that the store had when the epoch began.
 */
export class Hydration {
  readonly #places: readonly number[];
  readonly #replication: Replication;
  readonly #pushes: Pushes;
  readonly #rows: Rows;
  readonly #reads: Attempts;
  #asked: Asked | undefined;

  constructor(replication: Replication, pushes: Pushes, rows: Rows, size: number, clock: Clock) {
    this.#places = Array.from({ length: size }, (_, place) => place);
    this.#replication = replication;
    this.#pushes = pushes;
    this.#rows = rows;
    this.#reads = new Attempts(clock);
  }

  /** Finds those of which the store has more than others shared; `stored` is what it has of others, by cell. */
  noteLacks(shared: SharedPeriod, backends: Iterable<string>, stored: ArrayLike<number>): void {
    const { others } = this.#replication.hop.of(shared.cells);
    for (const backend of backends) {
      const row = this.#rows.find(backend);
      if (row === undefined) continue;
      // fault: trusts that others brought what the store knows
      const isLacking = this.#places.some((place) => {
        const cell = row * this.#places.length + place;
        return (stored[cell] as number) > (others[cell] as number);
      });
      if (!isLacking) continue;
      shared.apply(row, { kind: "lacking" });
      if (!shared.wantsRows(row)) shared.apply(row, { kind: "changed" });
    }
  }

  /** The backends whose rows are wanted: those whose shared counts lack something, or may, and are used. `bring` takes the rows. */
  wanted(shared: SharedPeriod): readonly string[] {
    const rows = new Set([...shared.wanting(), ...this.#needed(shared)]);
    this.#asked = this.#ask(shared, [...rows]);
    return [...this.#asked.epochs.keys()];
  }

  /** Merges the rows of the backends that were wanted. Rejects where that fails; they are wanted again then. */
  async bring(tallies: readonly Tally[]): Promise<void> {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked !== undefined) await this.#bring(asked, tallies);
  }

  /** Reads by itself what is needed at once: that for which somebody waits who may use nothing before. */
  async work(shared: SharedPeriod, read: ReadRows): Promise<void> {
    const rows = this.#needed(shared);
    if (rows.length === 0) return;
    await this.#reads.run(async () => {
      const asked = this.#ask(shared, rows);
      await this.#bring(asked, await read(shared.cells.period.key, [...asked.epochs.keys()]));
    });
  }

  #needed(shared: SharedPeriod): readonly number[] {
    const { slices } = this.#replication;
    return slices.activeRows(shared).filter((row) => shared.mayLack(row));
  }

  #ask(shared: SharedPeriod, rows: readonly number[]): Asked {
    const epochOf = (row: number): string => this.#replication.bucketOf(shared, row).epoch;
    return { shared, epochs: new Map(rows.map((row) => [this.#rows.nameOf(row), epochOf(row)])) };
  }

  /** The rows of each in parts, one after the other. */
  async #bring({ shared, epochs }: Asked, tallies: readonly Tally[]): Promise<void> {
    const byBackend = Map.groupBy(tallies, ({ backend }) => backend);
    let left = Array.from(epochs, ([backend, epoch]) => ({ backend, epoch, tallies: byBackend.get(backend) ?? [] }));
    while (left.length > 0) {
      const brought = new Map<string, Brought>();
      for (const { backend, epoch, tallies } of left) {
        const isLast = tallies.length <= ROWS_PER_REQUEST;
        // fault: a mark is set without the store's rows
        const rows = tallies.slice(0, ROWS_PER_REQUEST);
        // fault: a mark is set with the first part of the rows
        brought.set(backend, { rows, ...(isLast && { mark: epoch }) });
      }
      // fault: goes on with the next part though the last one was not answered
      await this.#pushes.push(shared, brought);
      for (const [backend, { mark }] of brought) {
        const row = this.#rows.find(backend);
        if (row === undefined || mark === undefined) continue;
        const isTaken = !shared.isRefused(row) && !this.#replication.bucketOf(shared, row).isAway;
        if (isTaken) shared.apply(row, { kind: "brought" });
      }
      left = left
        .filter(({ tallies }) => tallies.length > ROWS_PER_REQUEST)
        .map(({ tallies, ...rest }) => ({ ...rest, tallies: tallies.slice(ROWS_PER_REQUEST) }));
    }
  }
}
