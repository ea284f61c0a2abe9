import { randomUUID } from "node:crypto";
import { type Instance, startInstance } from "@usage/test-servers";
import postgres from "postgres";
import { onTestFinished } from "vitest";
import { Book, type BookEntry } from "./book.ts";
import type { FleetCommand, FleetOptions, FleetReport } from "./fleet-instance.ts";
import type { Servers } from "./shared-proxies.ts";

type Totals = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** One of several processes that count the same backends: a Redis counter, a tracker, a flusher and a store on Postgres. */
export class FleetMember {
  readonly instance: Instance;
  readonly writer: string;

  constructor(instance: Instance, writer: string) {
    this.instance = instance;
    this.writer = writer;
  }

  async load(options: { readonly flushing?: boolean } = {}): Promise<void> {
    await this.#ask({ command: "load", ...options });
  }

  /** Answers all that it has recorded. */
  async rest(): Promise<Book> {
    return Book.of((await this.#ask({ command: "rest" })) as readonly BookEntry[]);
  }

  /** Answers whether it worked. */
  async flush(): Promise<boolean> {
    return (await this.#ask({ command: "flush" })) as boolean;
  }

  /** How the flushes of its loads went. */
  async flushes(): Promise<{ readonly good: number; readonly failed: number }> {
    return (await this.#ask({ command: "flushes" })) as { readonly good: number; readonly failed: number };
  }

  /** What it sees of the current period, by all. */
  async totals(): Promise<Totals> {
    return (await this.#ask({ command: "totals" })) as Totals;
  }

  /** Lets it end in order. Answers all that it has recorded. */
  async stop(): Promise<Book> {
    return Book.of((await this.#ask({ command: "stop" })) as readonly BookEntry[]);
  }

  /** Its last report, of a member that reports and was killed. */
  async lastReport(): Promise<{ readonly planned: Book; readonly pushed: Book }> {
    let last: FleetReport = { planned: [], pushed: [] };
    for (;;) {
      const message = await this.instance.next().catch(() => undefined);
      if (message === undefined) return { planned: Book.of(last.planned), pushed: Book.of(last.pushed) };
      if (typeof message === "object") last = message as FleetReport;
    }
  }

  #ask(command: FleetCommand): Promise<unknown> {
    return this.instance.ask(command);
  }
}

export interface Fleet {
  readonly backends: readonly string[];
  start(options?: Partial<FleetOptions>): Promise<FleetMember>;
  /** What the database holds of one writer, or of all. */
  stored(writer?: string): Promise<Book>;
}

/** Instances that share counts which no other test has; killed after the test. */
export function fleetOn({ redis, postgres: database }: Servers, size = 3): Fleet {
  const prefix = `fleet-${randomUUID()}`;
  const backends = Array.from({ length: size }, (_, i) => `${prefix} ${i}`);
  const sql = postgres(database.url, { max: 2, onnotice: () => {} });
  onTestFinished(() => sql.end({ timeout: 1 }));
  return {
    backends,
    async start(options = {}) {
      const all: FleetOptions = { redisUrl: redis.url, databaseUrl: database.url, prefix, backends, ...options };
      const instance = startInstance(new URL("fleet-instance.ts", import.meta.url), { args: [JSON.stringify(all)] });
      onTestFinished(async () => {
        await instance.kill();
      });
      return new FleetMember(instance, String(await instance.next()));
    },
    async stored(writer) {
      const rows = await sql<{ period: string; backend: string; dimension: string; amount: string }[]>`
        select period, backend, dimension, sum(amount)::text as amount from usage_tallies
        where backend = any(${[...backends]}) and (${writer ?? null}::text is null or writer = ${writer ?? null})
        group by period, backend, dimension`;
      return Book.of(
        rows.map(({ period, backend, dimension, amount }) => [period, backend, dimension, Number(amount)]),
      );
    },
  };
}

/** What several have recorded together. */
export function sumOf(books: readonly Book[]): Book {
  return Book.of(books.flatMap((book) => book.entries()));
}
