import { setTimeout as sleep } from "node:timers/promises";
import { LocalCounterBackend, memoryStore } from "@usage/counter-core";
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { UsageTracker } from "@usage/tracker";
import { Redis } from "ioredis";
import { answer } from "../child.ts";
import { WatchedClient } from "../redis/clients.ts";

/** What one process of a fleet is to do. */
export interface InstanceOptions {
  readonly url: string;
  /** From 0. The first one opens the bucket. */
  readonly number: number;
  readonly enforcement: "exact" | "approximate";
  readonly limit: number;
  readonly requestsPerSecond: number;
  /** Of pushes. */
  readonly roundMs: number;
}

/** What became of its requests; times are in milliseconds since the Unix epoch. */
export interface InstanceRun {
  readonly requests: number;
  readonly admitted: number;
  /** Commands to Redis, and the time in which they were sent. */
  readonly commands: number;
  readonly tookMs: number;
  /** How long those that were admitted after all had to wait. */
  readonly waitsMs: readonly number[];
  readonly firstRefusalAtMs: number | undefined;
  /** At the end of each burst of requests: the time, and how many had been admitted. */
  readonly progress: readonly (readonly [atMs: number, admitted: number])[];
}

/** What it is sent once it has said that it is ready; it answers when that is over. */
export interface InstanceOrder {
  readonly runMs: number;
}

const BACKEND = "tenant";
const ONE = { apiRequests: 1 };
const BURST_MS = 2;
/** Pushes show what others have; polls are for what is not pushed. */
const POLL_MS = 1_000;
/** How long a request waits for room. */
const PATIENCE_MS = 500;

const options = JSON.parse(process.argv[2] ?? "") as InstanceOptions;
const redis = new Redis(options.url, recommendedClientOptions);
// Eight that start at once may be late to be ready.
redis.on("error", () => {});
await new Promise((resolve) => redis.once("ready", resolve));
const client = new WatchedClient(redis);
const counter = await RedisCounterBackend.connect({
  client,
  enforcement: options.enforcement,
  syncIntervalMs: options.roundMs,
  pollIntervalMs: POLL_MS,
  claim: async (_period, buckets) => (options.number === 0 ? buckets : []),
});
const limits = { [BACKEND]: { apiRequests: options.limit } };
const tracker = new UsageTracker(counter, { store: memoryStore(), limits });
await tracker.ensure(BACKEND);
await tracker.refresh();
// What nobody uses is not made ready. It gives that back.
for (let first: Disposable | undefined; first === undefined; await sleep(5)) {
  first = tracker.tryReserve(BACKEND, ONE);
  first?.[Symbol.dispose]();
}
await warmUp();

let requests = 0;
let admitted = 0;
let firstRefusalAtMs: number | undefined;
const waitsMs: number[] = [];
const progress: [number, number][] = [];

process.on("message", async ({ runMs }: InstanceOrder) => {
  answer(await run(runMs));
  await counter.close();
  redis.disconnect();
});
process.on("disconnect", () => process.exit());
answer({ ready: options.number });

async function run(runMs: number): Promise<InstanceRun> {
  const startMs = nowMs();
  const sent = client.commands;
  const timer = setInterval(() => burst(startMs), BURST_MS);
  await sleep(runMs);
  clearInterval(timer);
  const tookMs = nowMs() - startMs;
  const commands = client.commands - sent;
  // Whoever waits still is told now.
  await sleep(2 * PATIENCE_MS);
  progress.push([nowMs(), admitted]);
  return { requests, admitted, commands, tookMs, waitsMs, firstRefusalAtMs, progress };
}

/** As many as are due by now. */
function burst(startMs: number): void {
  const due = ((nowMs() - startMs) * options.requestsPerSecond) / 1_000;
  for (; requests < due; requests++) {
    if (tracker.tryRecord(BACKEND, ONE)) admitted++;
    else void wait();
  }
  progress.push([nowMs(), admitted]);
}

async function wait(): Promise<void> {
  const since = nowMs();
  const hold = await tracker.reserve(BACKEND, ONE, { waitMs: PATIENCE_MS });
  if (hold === undefined) {
    firstRefusalAtMs ??= nowMs();
    return;
  }
  hold.settle();
  admitted++;
  waitsMs.push(nowMs() - since);
}

/** So that what is compiled while requests come is no part of it. */
async function warmUp(): Promise<void> {
  const local = new LocalCounterBackend([BACKEND]);
  const warm = new UsageTracker(local, { store: memoryStore(), limits: { [BACKEND]: { apiRequests: 50_000 } } });
  while (warm.tryRecord(BACKEND, ONE));
  for (let i = 0; i < 5_000; i++) await warm.reserve(BACKEND, ONE, { waitMs: 1 });
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}
