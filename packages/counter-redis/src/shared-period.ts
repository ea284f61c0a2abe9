import { type Period, type PeriodCounts, UnknownBackendError } from "@usage/counter-core";
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
    }
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
