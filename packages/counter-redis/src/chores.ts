import type { FailedChore, RedisMessage } from "./events.ts";
import { isOutage } from "./outage.ts";

type Chore = FailedChore["chore"];

interface Failure {
  readonly error: unknown;
  readonly isTold: boolean;
}

/**
 * Runs what is done besides exchanging counts, and must hold up neither counts nor a flush. A failure is told once, until it
 * is over or another one; an outage only where it goes on to the next time, since whoever exchanges counts tells of it, too.
 */
export class Chores {
  readonly #publish: (message: RedisMessage) => void;
  readonly #failures = new Map<Chore, Failure>();

  constructor(publish: (message: RedisMessage) => void) {
    this.#publish = publish;
  }

  /** What fails at the moment, and was told. */
  get lastError(): unknown {
    return [...this.#failures.values()].find(({ isTold }) => isTold)?.error;
  }

  /** Whether this failed last, and because Redis is away. */
  isOut(chore: Chore): boolean {
    const failure = this.#failures.get(chore);
    return failure !== undefined && isOutage(failure.error);
  }

  /** Resolves to what the work does; to undefined where it fails. */
  async run<T>(chore: Chore, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      this.#failures.delete(chore);
      return result;
    } catch (error) {
      // fault: fails to flush while Redis is away
      this.#note(chore, error);
      return undefined;
    }
  }

  #note(chore: Chore, error: unknown): void {
    const told = [...this.#failures.values()].filter(({ isTold }) => isTold);
    const isTold = this.#failures.has(chore) || !isOutage(error);
    this.#failures.set(chore, { error, isTold });
    // One cause often keeps several chores from being done.
    if (!isTold || told.some((other) => String(other.error) === String(error))) return;
    // fault: keeps to itself what Redis refuses
    this.#publish({ event: "failed", chore, error });
  }
}
