/** Closed: rounds go on, `failures` of them in a row having failed. Open: only a probe now and then. */
export type CircuitState =
  | { readonly kind: "closed"; readonly failures: number }
  | { readonly kind: "open"; readonly error: unknown };

const SOUND: CircuitState = { kind: "closed", failures: 0 };

/** Stops trying after `threshold` failures in a row. One success closes it for good: what failed before no longer counts. */
export class Circuit {
  readonly #threshold: number;
  #state: CircuitState = SOUND;

  constructor(threshold: number) {
    this.#threshold = threshold;
  }

  get isOpen(): boolean {
    return this.#state.kind === "open";
  }

  /** What failed last, while it is open. */
  get error(): unknown {
    return this.#state.kind === "open" ? this.#state.error : undefined;
  }

  /** Returns whether this closed it. */
  succeeded(): boolean {
    const wasOpen = this.isOpen;
    // fault: a circuit that never closes
    this.#state = SOUND;
    return wasOpen;
  }

  /** Returns whether this opened it. */
  failed(error: unknown): boolean {
    if (this.#state.kind === "open") {
      this.#state = { kind: "open", error };
      return false;
    }
    const failures = this.#state.failures + 1;
    this.#state = failures >= this.#threshold ? { kind: "open", error } : { kind: "closed", failures };
    return this.isOpen;
  }
}
