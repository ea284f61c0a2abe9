import { type Instance, type InstanceExit, startInstance } from "@usage/test-servers";
import { WriterRecord } from "../account/writer-record.ts";
import { Book, type BookEntry } from "./book.ts";
import type {
  AmountsByBackend,
  FleetCommand,
  FleetMessage,
  Flushes,
  InstanceSettings,
  StepReport,
} from "./messages.ts";

export interface View {
  readonly period: string;
  readonly view: AmountsByBackend;
}

/** Called when a member tells what it does next, before it does. */
export type StepListener = (writer: string, report: StepReport) => void;

/** One of several processes that count the same backends: a Redis counter, a tracker, a flusher and a store on Postgres. */
export class FleetMember {
  readonly instance: Instance;
  /** What it has told of itself; all of it once `ended` has resolved. */
  readonly record: WriterRecord;
  /** Resolves when it has ended, however, and its last message was read. */
  readonly ended: Promise<InstanceExit>;
  readonly #answers: ((answer: Promise<unknown>) => void)[] = [];

  private constructor(instance: Instance, writer: string, onStep: StepListener | undefined) {
    this.instance = instance;
    this.record = new WriterRecord(writer, Date.now());
    this.ended = this.#read(onStep);
  }

  /** Rejects with what it wrote when it cannot start. */
  static async start(settings: InstanceSettings, onStep?: StepListener): Promise<FleetMember> {
    const instance = startInstance(new URL("instance.ts", import.meta.url), { args: [JSON.stringify(settings)] });
    const message = (await instance.next()) as FleetMessage;
    if (message.kind !== "ready") throw new Error(`an instance began with ${JSON.stringify(message)}`);
    return new FleetMember(instance, message.writer, onStep);
  }

  get writer(): string {
    return this.record.writer;
  }

  async load(options: { readonly flushing?: boolean } = {}): Promise<void> {
    await this.#ask({ command: "load", ...options });
  }

  /** Answers all that it has recorded. */
  async rest(): Promise<Book> {
    return this.#rested(await this.#ask({ command: "rest" }));
  }

  /** Keeps so much of what is limited free, in one piece. Answers whether there was room. */
  async reserve(amount: number): Promise<boolean> {
    return (await this.#ask({ command: "reserve", amount })) as boolean;
  }

  /** Uses what is kept free. */
  async settle(): Promise<void> {
    await this.#ask({ command: "settle" });
  }

  /** Answers whether it worked. */
  async flush(): Promise<boolean> {
    return (await this.#ask({ command: "flush" })) as boolean;
  }

  /** How the flushes of its loads went, and why the last one failed that did. */
  async flushes(): Promise<Readonly<Flushes>> {
    return (await this.#ask({ command: "flushes" })) as Flushes;
  }

  /** What it sees of the current period, by all, of what it holds; it brings `backends` in before. */
  async totals(backends: readonly string[] = []): Promise<View> {
    return (await this.#ask({ command: "totals", backends })) as View;
  }

  /** When it last exchanged all counts, on our clock; nothing while Redis is not tried. */
  async sharedAtMs(): Promise<number | undefined> {
    return (await this.#ask({ command: "shared" })) as number | undefined;
  }

  /** Lets it end in order. Answers all that it has recorded. */
  async stop(): Promise<Book> {
    const recorded = this.#rested(await this.#ask({ command: "stop" }));
    this.record.end = "stopped";
    return recorded;
  }

  /** SIGKILL. Resolves when its last message was read. */
  async kill(): Promise<void> {
    this.record.end = "killed";
    await this.instance.kill();
    await this.ended;
  }

  #rested(answer: unknown): Book {
    this.record.recorded = Book.of(answer as readonly BookEntry[]);
    return this.record.recorded;
  }

  async #ask(command: FleetCommand): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#answers.push(resolve);
    await this.instance.send(command);
    return promise;
  }

  async #read(onStep: StepListener | undefined): Promise<InstanceExit> {
    try {
      for (;;) {
        const message = (await this.instance.next()) as FleetMessage;
        if (message.kind === "stored") this.record.takeStored(message.entries);
        if (message.kind === "silence") this.record.silences.push(message);
        if (message.kind === "answer") this.#answers.shift()?.(Promise.resolve(message.answer));
        if (message.kind !== "step") continue;
        this.record.take(message);
        onStep?.(this.writer, message);
      }
    } catch (error) {
      // There are no more messages.
      const gone = Promise.reject(error);
      gone.catch(() => {});
      for (const resolve of this.#answers) resolve(gone);
    }
    return this.instance.exited;
  }
}
