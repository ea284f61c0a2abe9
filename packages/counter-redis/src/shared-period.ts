import { type Period, type PeriodCounts, UnknownBackendError } from "@usage/counter-core";
import { SharedBackend } from "./shared-backend.ts";

/** The shared counts of one period, backend by backend in the order of `backends()`. */
export class SharedPeriod {
  readonly period: Period;
  readonly backends: SharedBackend[] = [];
  /** How many of the backends, from the first, are registered. */
  registered = 0;
  registeredAtMs: number = Number.NEGATIVE_INFINITY;
  /** How often something was lost, our beginning included: each time, the store may lack anybody's counts. */
  doubts = 1;
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

  /** @throws UnknownBackendError */
  find(name: string): SharedBackend {
    const backend = this.#byName.get(name);
    if (backend === undefined) throw new UnknownBackendError(name);
    return backend;
  }

  /** Whatever was shared may be gone: all of it is pushed and registered again. */
  doubt(): void {
    this.registered = 0;
    this.doubts += 1;
    for (const backend of this.backends) backend.doubt();
  }
}
