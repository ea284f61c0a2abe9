import { isWrittenBy, type Tally } from "@usage/counter-core";
import { amountOf } from "@usage/counter-core/internal";

/** Tallies, to be looked up by what they are of. */
export class TallyIndex {
  readonly #byPlace: ReadonlyMap<string, readonly Tally[]>;

  constructor(tallies: readonly Tally[]) {
    this.#byPlace = Map.groupBy(tallies, ({ period, backend }) => placeOf(period, backend));
  }

  /** The names under which a run counted there. */
  writersOf(run: string, period: string, backend: string): readonly string[] {
    return this.#at(period, backend).flatMap((tally) => (isWrittenBy(tally, run) ? [tally.writer] : []));
  }

  amount(writer: string, period: string, backend: string, dimension: string): number {
    const found = this.#at(period, backend).find((tally) => tally.writer === writer);
    return found === undefined ? 0 : amountOf(found.usage, dimension);
  }

  #at(period: string, backend: string): readonly Tally[] {
    return this.#byPlace.get(placeOf(period, backend)) ?? [];
  }
}

function placeOf(period: string, backend: string): string {
  return `${period}\n${backend}`;
}

export function sumOf(tallies: readonly Tally[], dimension: string): number {
  return tallies.reduce((sum, { usage }) => sum + amountOf(usage, dimension), 0);
}
