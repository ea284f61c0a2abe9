interface Event {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/** Virtual time: what is to happen, in order. Nothing happens by itself; `step` lets the next thing happen. */
export class Timeline {
  nowMs: number;
  #heap: Event[] = [];
  #order = 0;

  constructor(startMs: number) {
    this.nowMs = startMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const event: Event = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#heap.push(event);
    this.#up(this.#heap.length - 1);
    return () => {
      event.run = undefined;
    };
  }

  /** Lets the next thing happen, unless that is after `untilMs`, and everything that follows from it at once. */
  async step(untilMs: number): Promise<boolean> {
    const [next] = this.#heap;
    if (next === undefined || next.atMs > untilMs) {
      this.nowMs = Math.max(this.nowMs, untilMs);
      return false;
    }
    this.#shift();
    this.nowMs = Math.max(this.nowMs, next.atMs);
    if (next.run === undefined) return true;
    next.run();
    // Every promise that waits for nothing else is settled by the time that an immediate runs.
    await new Promise(setImmediate);
    return true;
  }

  /** Time passes in which nothing happens: machines were off. */
  skip(ms: number): void {
    this.nowMs += ms;
  }

  #up(at: number): void {
    let child = at;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (isBefore(this.#heap[parent] as Event, this.#heap[child] as Event)) return;
      this.#swap(parent, child);
      child = parent;
    }
  }

  #shift(): void {
    const last = this.#heap.pop();
    if (this.#heap.length === 0 || last === undefined) return;
    this.#heap[0] = last;
    let parent = 0;
    for (;;) {
      let least = parent;
      for (const child of [2 * parent + 1, 2 * parent + 2]) {
        if (child < this.#heap.length && isBefore(this.#heap[child] as Event, this.#heap[least] as Event))
          least = child;
      }
      if (least === parent) return;
      this.#swap(parent, least);
      parent = least;
    }
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b] as Event, this.#heap[a] as Event];
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
