import type { StoredTotals, Tally, TotalsQuery } from "@usage/counter-core";
import { amountOf } from "@usage/counter-core/internal";

interface Row {
  readonly tally: Tally;
  /** The revision of the store in which it was written last. */
  readonly revision: number;
  /** Who wrote it then. */
  readonly by?: string | undefined;
}

/** Everything at one instant. */
export interface StoreSnapshot {
  readonly rows: ReadonlyMap<string, Row>;
  /** By period: the rows that were folded. */
  readonly folded: ReadonlyMap<string, readonly Tally[]>;
  readonly marks: ReadonlySet<string>;
}

const NOTHING: StoreSnapshot = { rows: new Map(), folded: new Map(), marks: new Set() };
/** Who has the rows of a period that was folded. */
const FOLDED = "folded";

/** A database's rows, without the database: one amount per period, backend, writer and dimension, merged by maximum. */
export class ModelStore {
  #rows = new Map<string, Row>();
  #folded = new Map<string, readonly Tally[]>();
  #marks = new Set<string>();
  /** How often it was written to, or lost something: never goes back. */
  revision = 0;
  /** How often it lost something and can tell. */
  losses = 0;

  /** Keeps the larger amounts; returns the tallies that it will never take. What `by` writes of its own, it is not told by a cursor. */
  merge(tallies: readonly Tally[], by?: string): readonly Tally[] {
    this.revision += 1;
    return tallies.filter((tally) => !this.#take(tally, by));
  }

  /**
   * @param overlap - How many revisions before the cursor are shown once more, as a database does whose writers commit in another
   * order than they began.
   */
  totals(
    period: string,
    writer: string,
    dimensions: readonly string[],
    { backends, since }: TotalsQuery,
    overlap: number,
  ): StoredTotals<string> {
    const [of = period, from = "-1"] = since?.split(" ") ?? [];
    if (of !== period) throw new Error(`a cursor of ${of} is no cursor of ${period}`);
    const rows = [...this.#rows.values()].filter(({ tally }) => tally.period === period);
    const changed = new Set(
      rows
        .filter(({ revision }) => revision > Number(from) - overlap)
        .filter(({ tally, by }) => since === undefined || tally.writer !== writer || by !== writer)
        .map(({ tally }) => tally.backend),
    );
    const asked = backends === undefined ? undefined : new Set(backends);
    const shown = rows.flatMap(({ tally }) => {
      return changed.has(tally.backend) && (asked?.has(tally.backend) ?? true) ? [tally] : [];
    });
    const sum = (all: readonly Tally[]): Record<string, number> =>
      Object.fromEntries(
        dimensions.map((name) => [name, all.reduce((amount, { usage }) => amount + amountOf(usage, name), 0)]),
      );
    const usage = new Map(
      Array.from(
        Map.groupBy(shown, ({ backend }) => backend),
        ([backend, all]) => [backend, { all: sum(all), own: sum(all.filter((row) => row.writer === writer)) }],
      ),
    );
    return { usage, cursor: `${period} ${this.revision}` };
  }

  tallies(period: string, backends: readonly string[]): readonly Tally[] {
    return this.rows().filter((row) => row.period === period && backends.includes(row.backend));
  }

  rows(): readonly Tally[] {
    return Array.from(this.#rows.values(), ({ tally }) => tally);
  }

  /** What the rows were made of, where they were folded. */
  origins(): readonly Tally[] {
    return [...this.rows().filter(({ period }) => !this.#folded.has(period)), ...[...this.#folded.values()].flat()];
  }

  /** The rows of a period become one for each backend; nothing more of it is taken. */
  fold(period: string): void {
    if (this.isFolded(period)) return;
    this.revision += 1;
    const rows = this.rows().filter((row) => row.period === period);
    this.#folded.set(period, rows);
    for (const row of rows) this.#rows.delete(keyOf(row));
    for (const [backend, all] of Map.groupBy(rows, (row) => row.backend)) {
      const usage: Record<string, number> = {};
      for (const [name, amount] of all.flatMap((row) => Object.entries(row.usage))) {
        usage[name] = (usage[name] ?? 0) + amount;
      }
      const tally = { writer: FOLDED, period, backend, usage };
      this.#rows.set(keyOf(tally), { tally, revision: this.revision });
    }
  }

  isFolded(period: string): boolean {
    return this.#folded.has(period);
  }

  /** What is wrong with a folded period: it has what its rows had, for good. */
  foldProblem(): string | undefined {
    for (const [period, origins] of this.#folded) {
      const rows = this.rows().filter((row) => row.period === period);
      for (const { backend, usage } of rows) {
        for (const [name, amount] of Object.entries(usage)) {
          const sum = origins.reduce((all, one) => all + (one.backend === backend ? amountOf(one.usage, name) : 0), 0);
          if (amount !== sum) return `${amount} ${name} of ${backend} are stored in ${period}, folded were ${sum}`;
        }
      }
    }
    return undefined;
  }

  /** Keeps marks; returns those that it did not have. */
  claim(marks: readonly string[]): readonly string[] {
    const fresh = marks.filter((mark) => !this.#marks.has(mark));
    for (const mark of fresh) this.#marks.add(mark);
    return fresh;
  }

  snapshot(): StoreSnapshot {
    return { rows: new Map(this.#rows), folded: new Map(this.#folded), marks: new Set(this.#marks) };
  }

  /** What came after the snapshot is lost. Whether the store can tell: a file that was replaced can, a server that failed over cannot. */
  lose(snapshot: StoreSnapshot = NOTHING, isTold = true): void {
    this.revision += 1;
    if (isTold) this.losses += 1;
    this.#rows = new Map(snapshot.rows);
    this.#folded = new Map(snapshot.folded);
    this.#marks = new Set(snapshot.marks);
  }

  #take(tally: Tally, by: string | undefined): boolean {
    if (this.isFolded(tally.period)) return false;
    const key = keyOf(tally);
    const row = this.#rows.get(key);
    const known = row?.tally.usage ?? {};
    // Nothing is written where nothing grew: what somebody else wrote stays theirs.
    if (row !== undefined && Object.entries(tally.usage).every(([name, amount]) => amount <= amountOf(known, name)))
      return true;
    // fault: the model of a store adds instead of keeping the maximum
    const merged = Object.entries(tally.usage).map(([name, amount]) => [name, Math.max(amount, amountOf(known, name))]);
    const usage = { ...known, ...Object.fromEntries(merged) };
    this.#rows.set(key, { tally: { ...tally, usage }, revision: this.revision, by });
    return true;
  }
}

function keyOf({ period, backend, writer }: Tally): string {
  return JSON.stringify([period, backend, writer]);
}
