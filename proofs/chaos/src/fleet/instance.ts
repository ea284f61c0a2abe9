import { setTimeout as sleep } from "node:timers/promises";
import { systemClock, type Tally, type Usage, type UsageStore } from "@usage/counter-core";
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { UsageFlusher, UsageTracker } from "@usage/tracker";
import { Redis } from "ioredis";
import { Book } from "./book.ts";
import type { AmountsByBackend, FleetCommand, FleetMessage, InstanceSettings, StepReport } from "./messages.ts";

const settings = JSON.parse(process.argv[2] ?? "{}") as InstanceSettings;
const { backends, prefix, clockOffsetMs = 0, flushIntervalMs, stepMs = 1, timeoutMs } = settings;
const timeout = timeoutMs === undefined ? {} : { timeoutMs };
const clock = { ...systemClock, now: () => Date.now() + clockOffsetMs };
const client = new Redis(settings.redisUrl, recommendedClientOptions);
client.on("error", () => {});
const counter = await RedisCounterBackend.connect({ client, prefix, backends, clock });
const database = await openPostgresStore(settings.databaseUrl, timeout);
const store = settings.reports ? reporting(database) : database;
const tracker = new UsageTracker(counter);
await tracker.refreshBaselines(store);
const intervalMs = flushIntervalMs ?? 2 ** 31 - 1;
const flusher = new UsageFlusher({ tracker, store, clock, intervalMs, nearLimitIntervalMs: intervalMs, ...timeout });
if (flushIntervalMs !== undefined) flusher.start();

const recorded = new Book();
let isLastRecorded = true;
let loads: readonly Promise<void>[] = [];
let resting = false;

async function load(): Promise<void> {
  while (!resting) {
    await record(Array.from({ length: 1 + Math.floor(20 * Math.random()) }, () => randomUsage()));
    await sleep(stepMs * (1 + 2 * Math.random()));
  }
}

async function record(step: readonly (readonly [backend: string, usage: Usage])[]): Promise<void> {
  const planned = settings.reports ? await report(step) : undefined;
  const { key } = counter.period();
  isLastRecorded = planned === undefined || planned === key;
  if (!isLastRecorded) return;
  for (const [backend, usage] of step) {
    tracker.record(backend, usage);
    // Nothing changes the period meanwhile.
    recorded.add(key, backend, { ...usage });
  }
}

function randomUsage(): readonly [backend: string, usage: Usage] {
  const backend = backends[Math.floor(backends.length * Math.random())] as string;
  return [backend, { apiRequests: 1, egressBytes: Math.floor(10_000 * Math.random()), ingressBytes: 7 }];
}

/** Answers the period that the step is planned in. */
async function report(step: readonly (readonly [backend: string, usage: Usage])[]): Promise<string> {
  const known = knowledge();
  await send({ kind: "step", step: step.map(([backend, usage]) => [backend, { ...usage }]), isLastRecorded, ...known });
  return known.period;
}

/** All of one period: what is not shared is asked for with a look at the clock, which may turn it. */
function knowledge(): Pick<StepReport, "period" | "unpushed" | "view" | "sharedAtMs"> {
  for (;;) {
    const period = counter.period().key;
    const unpushed = byBackend((backend) => counter.unpushedAll(backend));
    const view = byBackend((backend) => counter.totalAll(backend));
    const sharedAtMs = counter.sharedAtMs();
    if (counter.period().key !== period) continue;
    return { period, unpushed, view, ...(sharedAtMs !== undefined && { sharedAtMs: sharedAtMs - clockOffsetMs }) };
  }
}

function byBackend(usageOf: (backend: string) => Usage): AmountsByBackend {
  return Object.fromEntries(backends.map((backend) => [backend, { ...usageOf(backend) }]));
}

/** Tells what the store has taken of ours. */
function reporting(inner: UsageStore): UsageStore {
  return {
    ...inner,
    async merge(tallies, options) {
      const rejected = await inner.merge(tallies, options);
      const refused = new Set<Tally>(rejected.map(({ tally }) => tally));
      const own = tallies.filter((tally) => tally.writer === counter.writer && !refused.has(tally));
      const entries = own.flatMap(({ period, backend, usage }) =>
        Object.entries(usage).map(([dimension, amount]) => [period, backend, dimension, amount] as const),
      );
      if (entries.length > 0) await send({ kind: "stored", entries });
      return rejected;
    },
  };
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
  await database.close();
}

/** Resolves when it is written: it arrives, whatever happens to us. */
function send(message: FleetMessage): Promise<void> {
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
      return { period: counter.period().key, view: byBackend((backend) => counter.totalAll(backend)) };
    case "shared":
      return counter.isHealthy() ? (counter.sharedAtMs() ?? Number.NEGATIVE_INFINITY) - clockOffsetMs : undefined;
    case "stop":
      await stop();
      return recorded.entries();
  }
}

process.on("message", async (message: FleetCommand) => {
  await send({ kind: "answer", answer: await answer(message) });
  if (message.command === "stop") process.disconnect();
});
await send({ kind: "ready", writer: counter.writer });
