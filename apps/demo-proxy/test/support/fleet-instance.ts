import { setTimeout as sleep } from "node:timers/promises";
import { systemClock, type Usage } from "@usage/counter-core";
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { UsageFlusher, UsageTracker } from "@usage/tracker";
import { Redis } from "ioredis";
import { Book } from "./book.ts";

/** How an instance is told what to be: the JSON of this, as its only argument. */
export interface FleetOptions {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly prefix: string;
  readonly backends: readonly string[];
  /** Absent: it flushes only when told. */
  readonly flushIntervalMs?: number;
  /** How far its clock is ahead of the machine's. */
  readonly clockOffsetMs?: number;
  /** Says what it is about to record, and what of it is shared, before every step of its load. */
  readonly reports?: boolean;
}

/** What it is told. Each is answered with one message, when it is done. */
export type FleetCommand =
  /** Counts in small steps until it is told to rest, and flushes without a pause meanwhile if `flushing`. Answers at once. */
  | { readonly command: "load"; readonly flushing?: boolean }
  /** Answers a `BookEntries` of all that it has recorded. */
  | { readonly command: "rest" }
  /** Answers whether it worked. */
  | { readonly command: "flush" }
  /** Answers how the flushes of its loads went. */
  | { readonly command: "flushes" }
  /** Answers the totals of the current period by backend, as it sees them. */
  | { readonly command: "totals" }
  /** Stores and shares all, closes all, and ends by itself. */
  | { readonly command: "stop" };

/** What `reports` reports: at most `planned` is recorded, at least `pushed` is shared. */
export interface FleetReport {
  readonly planned: ReturnType<Book["entries"]>;
  readonly pushed: ReturnType<Book["entries"]>;
}

const options = JSON.parse(process.argv[2] ?? "{}") as FleetOptions;
const { backends, prefix, clockOffsetMs = 0, flushIntervalMs } = options;
const clock = { ...systemClock, now: () => Date.now() + clockOffsetMs };
const client = new Redis(options.redisUrl, recommendedClientOptions);
client.on("error", () => {});
const counter = await RedisCounterBackend.connect({ client, prefix, backends, clock });
const store = await openPostgresStore(options.databaseUrl);
const tracker = new UsageTracker(counter);
await tracker.refreshBaselines(store);
const intervalMs = flushIntervalMs ?? 2 ** 31 - 1;
const flusher = new UsageFlusher({ tracker, store, clock, intervalMs, nearLimitIntervalMs: intervalMs });
if (flushIntervalMs !== undefined) flusher.start();

const recorded = new Book();
let loads: readonly Promise<void>[] = [];
let resting = false;

async function load(): Promise<void> {
  while (!resting) {
    const step = Array.from({ length: 1 + Math.floor(20 * Math.random()) }, () => randomUsage());
    if (options.reports) await report(step);
    for (const { backend, usage } of step) {
      tracker.record(backend, usage);
      // Nothing changes the period between these two.
      recorded.add(counter.period().key, backend, usage);
    }
    await sleep(1 + 2 * Math.random());
  }
}

function randomUsage(): { readonly backend: string; readonly usage: Usage } {
  const backend = backends[Math.floor(backends.length * Math.random())] as string;
  return { backend, usage: { apiRequests: 1, egressBytes: Math.floor(10_000 * Math.random()), ingressBytes: 7 } };
}

/** Resolves when it is written: what is recorded after that was planned in a message that arrives, whatever happens to us. */
async function report(step: readonly { readonly backend: string; readonly usage: Usage }[]): Promise<void> {
  const period = counter.period().key;
  const planned = recorded.copy();
  for (const { backend, usage } of step) planned.add(period, backend, usage);
  const pushed = recorded.copy();
  for (const backend of backends) pushed.subtract(period, backend, counter.unpushedAll(backend));
  await send({ planned: planned.entries(), pushed: pushed.entries() } satisfies FleetReport);
}

const flushes = { good: 0, failed: 0 };

async function flushWithoutPause(): Promise<void> {
  while (!resting) {
    flushes[(await flush()) ? "good" : "failed"] += 1;
    await sleep(1);
  }
}

function flush(): Promise<boolean> {
  return flusher.flush().then(
    () => true,
    () => false,
  );
}

async function rest(): Promise<void> {
  resting = true;
  await Promise.all(loads);
}

async function stop(): Promise<void> {
  await rest();
  await flusher.stop();
  await counter.close();
  client.disconnect();
  await store.close();
}

function send(message: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(message, undefined, undefined, (error) => (error === null ? resolve() : reject(error)));
  });
}

async function answer(message: FleetCommand): Promise<unknown> {
  switch (message.command) {
    case "load":
      resting = false;
      loads = [load(), ...(message.flushing ? [flushWithoutPause()] : [])];
      return "loading";
    case "rest":
      await rest();
      return recorded.entries();
    case "flush":
      return flush();
    case "flushes":
      return flushes;
    case "totals":
      return Object.fromEntries(backends.map((backend) => [backend, counter.totalAll(backend)]));
    case "stop":
      await stop();
      return recorded.entries();
  }
}

process.on("message", async (message: FleetCommand) => {
  await send(await answer(message));
  if (message.command === "stop") process.disconnect();
});
await send(counter.writer);
