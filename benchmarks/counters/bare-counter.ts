export interface ThreeAmounts {
  readonly apiRequests: number;
  readonly egressBytes: number;
  readonly ingressBytes: number;
}

/** The least that a counter by name can do: a `Map` lookup and three additions, nothing checked. */
export class BareCounter {
  readonly #rows = new Map<string, number>();
  readonly #cells: Float64Array;

  constructor(names: readonly string[]) {
    this.#cells = new Float64Array(names.length * 3);
    names.forEach((name, i) => {
      this.#rows.set(name, i * 3);
    });
  }

  record(name: string, usage: ThreeAmounts): void {
    const cells = this.#cells;
    const row = this.#rows.get(name) as number;
    cells[row] = (cells[row] as number) + usage.apiRequests;
    cells[row + 1] = (cells[row + 1] as number) + usage.egressBytes;
    cells[row + 2] = (cells[row + 2] as number) + usage.ingressBytes;
  }
}
