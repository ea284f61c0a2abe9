import { amountOf, type Period, type PeriodCounts, type StoredUsage, UnknownBackendError } from "@usage/counter-core";
import { SharedBackend } from "./shared-backend.ts";

/** The shared counts of one period, backend by backend in the order of `backends()`. */
export class SharedPeriod {
  readonly period: Period;
  readonly backends: SharedBackend[] = [];
  /** How many of the backends, from the first, are registered. */
  registered = 0;
  registeredAtMs: number = Number.NEGATIVE_INFINITY;
  readonly #byName = new Map<string, SharedBackend>();
  readonly #counts: PeriodCounts;
  readonly #dimensions: readonly string[];
  /** What others have in the store of backends that are not here yet, in dimension order. */
  readonly #storedOfLater = new Map<string, readonly number[]>();

  constructor(counts: PeriodCounts, dimensions: readonly string[]) {
    this.period = counts.period;
    this.#counts = counts;
    this.#dimensions = dimensions;
  }

  isOf(counts: PeriodCounts): boolean {
    return this.#counts === counts;
  }

  /** Takes over backends that were added. */
  grow(names: readonly string[]): void {
    for (let index = this.backends.length; index < names.length; index++) {
      const backend = new SharedBackend(names[index] as string, index, this.#counts, this.#dimensions);
      this.backends.push(backend);
      this.#byName.set(backend.name, backend);
      const stored = this.#storedOfLater.get(backend.name);
      if (stored !== undefined) backend.noteStored(stored);
      this.#storedOfLater.delete(backend.name);
    }
  }

  /** Takes what the store holds; returns the backends whose rows the shared counts should have. */
  observe(stored: ReadonlyMap<string, StoredUsage<string>>): readonly SharedBackend[] {
    for (const [name, { all, own }] of stored) {
      this.noteStored(
        name,
        this.#dimensions.map((dimension) => amountOf(all, dimension) - amountOf(own, dimension)),
      );
    }
    return this.backends.filter((backend) => backend.wantsRows());
  }

  /** The store has this much of what others counted of a backend, in dimension order. */
  noteStored(name: string, amounts: readonly number[]): void {
    const backend = this.#byName.get(name);
    if (backend !== undefined) {
      backend.noteStored(amounts);
    } else {
      const known = this.#storedOfLater.get(name);
      this.#storedOfLater.set(
        name,
        amounts.map((amount, d) => Math.max(amount, known?.[d] ?? 0)),
      );
    }
  }

  /** The store has lost what it had. */
  forgetStored(): void {
    for (const backend of this.backends) backend.forgetStored();
    this.#storedOfLater.clear();
  }

  /** The period is over: what the store has of it is of no use to backends that are added from here on. */
  close(): void {
    this.#storedOfLater.clear();
  }

  get(name: string): SharedBackend | undefined {
    return this.#byName.get(name);
  }

  /** @throws UnknownBackendError */
  find(name: string): SharedBackend {
    const backend = this.#byName.get(name);
    if (backend === undefined) throw new UnknownBackendError(name);
    return backend;
  }
}
