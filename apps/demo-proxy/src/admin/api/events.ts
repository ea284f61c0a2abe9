import type { Writable } from "node:stream";
import type { Clock } from "@usage/counter-core";
import { ReaderSilence } from "../../proxy/reader-silence.ts";
import { type Answer, refuse } from "../problem.ts";

export interface EventStreamOptions {
  /** What the listeners are told, as JSON without line breaks; made once per event, however many listen. */
  readonly report: () => Promise<readonly Uint8Array[]>;
  readonly clock: Clock;
  /** From one event to the making of the next. @default 1_000 */
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
  /** While an event is being made, that one: whoever comes meanwhile is told the same. */
  #making: Promise<Uint8Array> | undefined;
  #telling = false;
  #cancel: (() => void) | undefined;

  constructor(options: EventStreamOptions) {
    const { report, clock, intervalMs = 1_000, maxListeners = 50, patienceMs = 10_000 } = options;
    this.#options = { report, clock, intervalMs, maxListeners, patienceMs };
  }

  /** How many listen. */
  get size(): number {
    return this.#listeners.size;
  }

  /** The stream, which begins with an event, or 503 when too many listen already. Rejects when the event cannot be made. */
  async answer(): Promise<Answer> {
    if (this.#isFull()) return this.#refusal();
    const first = await this.#event();
    return {
      status: 200,
      headers: {
        "content-type": "text/event-stream",
        // What stands in front must neither collect events nor compress them: nginx heeds the first, others the second.
        "x-accel-buffering": "no",
        "cache-control": "no-store, no-transform",
      },
      stream: (listener) => this.#add(listener, first),
    };
  }

  #isFull(): boolean {
    return this.#listeners.size >= this.#options.maxListeners;
  }

  #refusal(): Answer {
    const detail = `${this.#listeners.size} listen already, and more are not let in; close a dashboard elsewhere.`;
    return refuse({ status: 503, title: "Too many listeners", detail, headers: { "retry-after": "10" } });
  }

  #add(listener: Writable, first: Uint8Array): void {
    if (listener.destroyed) return;
    // Others may have come while the first event was made; it asks again, and is answered with why.
    if (this.#isFull()) return void listener.destroy();
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
      // One that takes longer than the interval is told once.
      if (!this.#telling) void this.#tell();
    });
  }

  async #tell(): Promise<void> {
    let event: Uint8Array;
    this.#telling = true;
    try {
      event = await this.#event();
    } catch {
      // They ask again, and are answered with what is wrong.
      for (const listener of this.#listeners.keys()) listener.destroy();
      return;
    } finally {
      this.#telling = false;
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

  #event(): Promise<Uint8Array> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #make(): Promise<Uint8Array> {
    return Buffer.concat([BEGIN, ...(await this.#options.report()), END]);
  }
}

const [BEGIN, END] = [Buffer.from("data: "), Buffer.from("\n\n")];
