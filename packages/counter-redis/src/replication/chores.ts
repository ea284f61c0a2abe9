import { isOutage } from "../server/outage.ts";
import type { FailedChore, RedisEvent } from "./events.ts";

type Chore = FailedChore["chore"];

interface Failure {
  readonly error: unknown;
  readonly isTold: boolean;
}

/**
 * Runs what is done besides exchanging counts, and must hold up neither counts nor a flush. A failure is told once, until it
 * is over or another one; an outage only where it goes on to the next time, since the rounds tell of it, too.
 */
export class Chores {
  readonly #emit: (event: RedisEvent) => void;
  readonly #failures = new Map<Chore, Failure>();

  constructor(emit: (event: RedisEvent) => void) {
    this.#emit = emit;
  }

  /** What fails at the moment, and was told. */
  get lastError(): unknown {
    return [...this.#failures.values()].find(({ isTold }) => isTold)?.error;
  }

  /** Does not reject: what fails is told. The work may go on after something has failed, and says so by `failed`. */
  async run(chore: Chore, work: (failed: (error: unknown) => void) => Promise<void>): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    const failed = (error: unknown): void => {
      failure ??= { error };
    };
    // fault: fails to flush while Redis is away
    await work(failed).catch(failed);
    if (failure === undefined) this.#failures.delete(chore);
    else this.#note(chore, failure.error);
  }

  #note(chore: Chore, error: unknown): void {
    const told = [...this.#failures.values()].filter(({ isTold }) => isTold);
    const isTold = this.#failures.has(chore) || !isOutage(error);
    this.#failures.set(chore, { error, isTold });
    // One cause often keeps several chores from being done.
    if (!isTold || told.some((other) => String(other.error) === String(error))) return;
    // fault: keeps to itself what Redis refuses
    this.#emit({ kind: "failed", chore, error });
  }
}
