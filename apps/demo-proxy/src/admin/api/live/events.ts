import type { Writable } from "node:stream";
import type { Clock } from "@usage/counter-core";
import { ReaderSilence } from "../../../proxy/reader-silence.ts";
import { type Answer, refuse } from "../../problem.ts";

/** What there was to tell at one moment. */
export interface Look {
  readonly number: number;
  /** What had changed since an earlier look, as JSON without line breaks; all there was since look 0. */
  readonly since: (earlier: number) => Promise<readonly Uint8Array[]>;
}

export interface EventStreamOptions<T extends Look> {
  /** Looks once per event, however many listen. Numbers ascend; the look before is absent where nobody listened meanwhile. */
  readonly look: (number: number, last: T | undefined) => Promise<T>;
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
  /** The look that it knows of. */
  told: number;
  /** Bytes of events that were written to it. */
  given: number;
}

/** Server-sent events for whoever listens: each is told all there is, then what has changed since. While nobody does, nothing runs. */
export class EventStream<T extends Look> {
  readonly #options: Required<EventStreamOptions<T>>;
  readonly #listeners = new Map<Writable, Listener>();
  #looks = 0;
  #last: T | undefined;
  /** While one looks, what comes of it: whoever comes meanwhile is told the same. */
  #looking: Promise<Telling> | undefined;
  #telling = false;
  #cancel: (() => void) | undefined;

  constructor(options: EventStreamOptions<T>) {
    const { look, clock, intervalMs = 1_000, maxListeners = 50, patienceMs = 10_000 } = options;
    this.#options = { look, clock, intervalMs, maxListeners, patienceMs };
  }

  /** How many listen. */
  get size(): number {
    return this.#listeners.size;
  }

  /** The stream, which begins with an event, or 503 when too many listen already. Rejects when the event cannot be made. */
  async answer(): Promise<Answer> {
    if (this.#isFull()) return this.#refusal();
    const telling = await this.#look();
    const first = await telling.since(0);
    return {
      status: 200,
      headers: {
        "content-type": "text/event-stream",
        // What stands in front must neither collect events nor compress them: nginx heeds the first, others the second.
        "x-accel-buffering": "no",
        "cache-control": "no-store, no-transform",
      },
      stream: (listener) => this.#add(listener, telling.number, first),
    };
  }

  #isFull(): boolean {
    return this.#listeners.size >= this.#options.maxListeners;
  }

  #refusal(): Answer {
    const detail = `${this.#listeners.size} listen already, and more are not let in; close a dashboard elsewhere.`;
    return refuse({ status: 503, title: "Too many listeners", detail, headers: { "retry-after": "10" } });
  }

  #add(listener: Writable, told: number, first: Uint8Array): void {
    if (listener.destroyed) return;
    // Others may have come while the first event was made; it asks again, and is answered with why.
    if (this.#isFull()) return void listener.destroy();
    const { intervalMs, patienceMs } = this.#options;
    const reading = new ReaderSilence(Math.ceil(patienceMs / intervalMs));
    this.#listeners.set(listener, { reading, told, given: first.length });
    listener.on("error", () => {});
    listener.once("close", () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#cancel?.();
      this.#cancel = undefined;
      this.#last = undefined;
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
    this.#telling = true;
    try {
      const telling = await this.#look();
      for (const [writable, listener] of this.#listeners) await tell(writable, listener, telling);
    } catch {
      // They ask again, and are answered with what is wrong.
      for (const listener of this.#listeners.keys()) listener.destroy();
    } finally {
      this.#telling = false;
    }
  }

  #look(): Promise<Telling> {
    this.#looks += this.#looking === undefined ? 1 : 0;
    this.#looking ??= this.#options
      .look(this.#looks, this.#last)
      .then((look) => {
        this.#last = look;
        return new Telling(look);
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }
}

async function tell(writable: Writable, listener: Listener, telling: Telling): Promise<void> {
  // At most one event waits for a reader; the next one tells what those in between would have.
  const waiting = writable.writableNeedDrain;
  if (listener.reading.look(listener.given - writable.writableLength, waiting)) writable.destroy();
  // Whoever came while others were told knows of a later look.
  else if (!waiting && listener.told < telling.number) {
    const event = await telling.since(listener.told);
    writable.write(event);
    listener.given += event.length;
    listener.told = telling.number;
  }
}

/** The events of one look, each made once, however many are told it. */
class Telling {
  readonly #look: Look;
  readonly #events = new Map<number, Promise<Uint8Array>>();

  constructor(look: Look) {
    this.#look = look;
  }

  get number(): number {
    return this.#look.number;
  }

  since(earlier: number): Promise<Uint8Array> {
    const event = this.#events.get(earlier) ?? this.#make(earlier);
    this.#events.set(earlier, event);
    return event;
  }

  async #make(earlier: number): Promise<Uint8Array> {
    return Buffer.concat([BEGIN, ...(await this.#look.since(earlier)), END]);
  }
}

const [BEGIN, END] = [Buffer.from("data: "), Buffer.from("\n\n")];
