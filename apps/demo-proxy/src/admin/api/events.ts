import type { Writable } from "node:stream";
import type { Clock } from "@usage/counter-core";
import { ReaderSilence } from "../../proxy/reader-silence.ts";
import { type Answer, refuse } from "../problem.ts";

export interface EventStreamOptions {
  /** What the listeners are told, as JSON; asked once per event, however many listen. */
  readonly report: () => unknown;
  readonly clock: Clock;
  /** @default 1_000 */
  readonly intervalMs?: number;
  /** @default 50 */
  readonly maxListeners?: number;
  /** How long a listener may read nothing before it is cut off, in milliseconds; for a slow one see {@link ReaderSilence}. @default 10_000 */
  readonly patienceMs?: number;
}

interface Listener {
  readonly reading: ReaderSilence;
  /** Bytes of events that were written to it. */
  given: number;
}

/** Server-sent events for whoever listens; while nobody does, nothing runs. */
export class EventStream {
  readonly #options: Required<EventStreamOptions>;
  readonly #listeners = new Map<Writable, Listener>();
  #cancel: (() => void) | undefined;

  constructor(options: EventStreamOptions) {
    const { report, clock, intervalMs = 1_000, maxListeners = 50, patienceMs = 10_000 } = options;
    this.#options = { report, clock, intervalMs, maxListeners, patienceMs };
  }

  /** How many listen. */
  get size(): number {
    return this.#listeners.size;
  }

  /** The stream, which begins with an event, or 503 when too many listen already. */
  answer(): Answer {
    if (this.#listeners.size >= this.#options.maxListeners) {
      const detail = `${this.#listeners.size} listen already, and more are not let in; close a dashboard elsewhere.`;
      return refuse({ status: 503, title: "Too many listeners", detail, headers: { "retry-after": "10" } });
    }
    const first = this.#event();
    return {
      status: 200,
      headers: { "content-type": "text/event-stream" },
      stream: (listener) => this.#add(listener, first),
    };
  }

  #add(listener: Writable, first: Buffer): void {
    if (listener.destroyed) return;
    const { intervalMs, patienceMs } = this.#options;
    const reading = new ReaderSilence(Math.ceil(patienceMs / intervalMs));
    this.#listeners.set(listener, { reading, given: first.length });
    listener.on("error", () => {});
    listener.once("close", () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#cancel?.();
      this.#cancel = undefined;
    });
    listener.write(first);
    this.#cancel ??= this.#nextTick();
  }

  #nextTick(): () => void {
    return this.#options.clock.after(this.#options.intervalMs, () => {
      this.#cancel = this.#nextTick();
      this.#tell();
    });
  }

  #tell(): void {
    let event: Buffer;
    try {
      event = this.#event();
    } catch {
      // They ask again, and are answered with what is wrong.
      for (const listener of this.#listeners.keys()) listener.destroy();
      return;
    }
    for (const [writable, listener] of this.#listeners) {
      // At most one event waits for a reader; those in between would be out of date anyway.
      const waiting = writable.writableNeedDrain;
      if (listener.reading.look(listener.given - writable.writableLength, waiting)) writable.destroy();
      else if (!waiting) {
        writable.write(event);
        listener.given += event.length;
      }
    }
  }

  #event(): Buffer {
    return Buffer.from(`data: ${JSON.stringify(this.#options.report())}\n\n`);
  }
}
