import { setTimeout as sleep } from "node:timers/promises";
import { LocalCounterBackend, type UsageStore } from "@usage/counter-core";
import { RedisCounterBackend, recommendedClientOptions } from "@usage/counter-redis";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { ThresholdNotifier, UsageTracker } from "@usage/tracker";
import { Redis } from "ioredis";

/** What a process of `instance.ts` does, as its only argument, in JSON. */
export interface InstanceTask {
  /** A file, or the url of a database. */
  readonly place: string;
  readonly redisUrl?: string;
  /** Who is told, by POST. */
  readonly receiver: string;
  readonly backends: readonly string[];
  readonly limit: number;
  readonly thresholds: readonly number[];
  /** How much of each backend it may use in one step. */
  readonly most: number;
  readonly retryMs: { readonly first: number; readonly max: number };
  readonly timeoutMs: number;
  /** Whether it only finds what is crossed, and delivers nothing. */
  readonly isMute?: boolean;
}

const task: InstanceTask = JSON.parse(process.argv[2] ?? "{}");
const { place, redisUrl, receiver, backends, limit, thresholds, most, retryMs, timeoutMs, isMute = false } = task;

const opened = place.startsWith("postgres") ? await openPostgresStore(place) : await openSqliteStore(place);
const store: UsageStore = {
  ...opened,
  claim: async (marks) => {
    const claimed = (await opened.claim?.(marks)) ?? [];
    for (const { mark } of claimed) console.log(`claimed ${mark}`);
    return claimed;
  },
  ...(isMute && { notices: () => new Promise<never>(() => {}) }),
};
const client = redisUrl === undefined ? undefined : new Redis(redisUrl, recommendedClientOptions);
client?.on("error", () => {});
const shared = client && (await RedisCounterBackend.connect({ client }));
const tracker = new UsageTracker(shared ?? new LocalCounterBackend([]), { store, defaults: { apiRequests: limit } });
await tracker.refresh();
await tracker.ensure(backends);

const notifier = new ThresholdNotifier({
  tracker,
  thresholds,
  retryMs,
  timeoutMs,
  async onThreshold(event, { attempt, signal }) {
    const response = await fetch(receiver, { method: "POST", body: JSON.stringify({ event, attempt }), signal });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`${response.status}`);
  },
});
notifier.onError(() => {});
notifier.start();

let isStopping = false;
process.on("SIGTERM", () => {
  isStopping = true;
});
console.log("started");
while (!isStopping) {
  for (const backend of backends) tracker.record(backend, { apiRequests: Math.floor(Math.random() * (most + 1)) });
  // Where it fails, the next one stores it.
  await tracker.flush().catch(() => {});
  await sleep(10);
}
await tracker.flush();
await notifier.stop();
await shared?.close();
client?.disconnect();
await opened.close();
