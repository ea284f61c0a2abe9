/** Something that happens again and again: call it with a listener, and dispose of what it returns to end that. */
export type Event<T> = (listener: (event: T) => void) => Disposable;

/** The side of an event that makes it happen. */
export class Emitter<T> {
  readonly #listeners = new Set<(event: T) => void>();

  /** For those who listen. */
  readonly event: Event<T> = (listener) => {
    // Each call is a listener of its own, also of the same function.
    const own = (event: T): void => listener(event);
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => void this.#listeners.delete(own) };
  };

  get hasListeners(): boolean {
    return this.#listeners.size > 0;
  }

  /** Tells all who listen now. What a listener throws is thrown where nobody catches it, and keeps nobody from being told. */
  emit(event: T): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
