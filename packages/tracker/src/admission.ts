/** Somebody who waits until a backend is held. */
interface Asked {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Brings backends in that nobody has named before: what is asked at once is read at once, and whoever asks for what is being
 * read already waits for that.
 */
export class Admission {
  readonly #admit: (backends: readonly string[]) => Promise<void>;
  readonly #check: (backend: string) => void;
  readonly #asked = new Map<string, Asked>();
  #next: string[] = [];

  /** @param check Throws for a backend that cannot be admitted; others are not held up by it. */
  constructor(check: (backend: string) => void, admit: (backends: readonly string[]) => Promise<void>) {
    this.#check = check;
    this.#admit = admit;
  }

  ask(backend: string): Promise<void> {
    const waiting = this.#asked.get(backend);
    if (waiting !== undefined) return waiting.promise;
    try {
      this.#check(backend);
    } catch (error) {
      return Promise.reject(error);
    }
    const asked = Promise.withResolvers<void>();
    this.#asked.set(backend, asked);
    // With the event loop's next turn, not a timer's: until then whoever asks in this one is in it, and others get theirs.
    if (this.#next.push(backend) === 1) setImmediate(() => void this.#begin());
    return asked.promise;
  }

  async #begin(): Promise<void> {
    const backends = this.#next;
    this.#next = [];
    const settle = (how: (asked: Asked) => void): void => {
      for (const backend of backends) {
        const asked = this.#asked.get(backend);
        this.#asked.delete(backend);
        if (asked !== undefined) how(asked);
      }
    };
    try {
      await this.#admit(backends);
      settle(({ resolve }) => resolve());
    } catch (error) {
      settle(({ reject }) => reject(error));
    }
  }
}
