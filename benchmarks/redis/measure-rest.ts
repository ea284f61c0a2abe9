import { setTimeout as sleep } from "node:timers/promises";
import { memoryStore } from "@usage/counter-core";
import { RedisCounterBackend } from "@usage/counter-redis";
import { UsageTracker } from "@usage/tracker";
import { Redis } from "ioredis";
import { answer } from "../child.ts";
import { IS_SHORT } from "../rounds.ts";
import { openClient, WatchedClient } from "./clients.ts";
import { serverUse } from "./server-use.ts";
import { tenantNames, USAGE } from "./tenants.ts";
import { untilPushed } from "./until-pushed.ts";

/** What a second of doing nothing takes, by interval, for each of two instances. */
export interface RestUse {
  /** Commands that this process sends. */
  readonly commands: number[];
  /** CPU time of this process, and of the server, in milliseconds. */
  readonly cpuMs: number[];
  readonly serverCpuMs: number[];
}

const INTERVALS = IS_SHORT ? 1 : 7;
const INTERVAL_MS = 2_000;
/** A counter's default. */
const SYNC_INTERVAL_MS = 25;

/** After that, what is idle has given its slices back. */
const IDLE_MS = 5_000;

// Arguments: the server, and the number of backends; 0 for no counter, but a timer that fires as often and does nothing. Then
// "exact" for limits that are.
const [, , url = "", size = "", enforcement = "approximate"] = process.argv;
const names = tenantNames(Number(size));
const LIMITS = { apiRequests: 1e9, egressBytes: 1e15, ingressBytes: 1e12 };
const claimed = new Set<number>();
const admin = new Redis(url);
await admin.flushall();
const connections = [await openClient(url), await openClient(url)];
const clients = connections.map((connection) => new WatchedClient(connection));
const end = names.length > 0 ? await count() : wake();
// What is pushed, and compiled, at the beginning is over by then.
await sleep(INTERVAL_MS);
const use: RestUse = { commands: [], cpuMs: [], serverCpuMs: [] };
for (let interval = 0; interval < INTERVALS; interval++) {
  const before = { commands: sent(), cpu: process.cpuUsage(), server: await serverUse(admin) };
  const start = performance.now();
  await sleep(INTERVAL_MS);
  const seconds = (performance.now() - start) / 1e3;
  const { user, system } = process.cpuUsage(before.cpu);
  use.commands.push((sent() - before.commands) / seconds / clients.length);
  use.cpuMs.push((user + system) / 1e3 / seconds / clients.length);
  use.serverCpuMs.push(((await serverUse(admin)).cpuUs - before.server.cpuUs) / 1e3 / seconds / clients.length);
}
await end();
for (const redis of [...connections, admin]) redis.disconnect();
answer(use);

async function count(): Promise<() => Promise<void>> {
  const counters: RedisCounterBackend[] = [];
  for (const client of clients) {
    counters.push(
      enforcement === "exact"
        ? await exactCounter(client)
        : await RedisCounterBackend.connect({ client, backends: names }),
    );
  }
  for (const counter of counters) for (const name of names) counter.addAll(name, USAGE);
  for (const counter of counters) await untilPushed(counter, names);
  if (enforcement === "exact") await useSlices(counters);
  return async () => {
    for (const counter of counters) await counter.close();
  };
}

async function exactCounter(client: WatchedClient): Promise<RedisCounterBackend> {
  const claim = async (_period: string, buckets: readonly number[]): Promise<readonly number[]> => {
    return buckets.filter((bucket) => !claimed.has(bucket) && claimed.add(bucket));
  };
  const counter = await RedisCounterBackend.connect({ client, backends: names, enforcement: "exact", claim });
  await new UsageTracker(counter, { store: memoryStore(), limits: () => LIMITS }).refresh();
  return counter;
}

/** Each backend has had a slice, and gives it back. */
async function useSlices(counters: readonly RedisCounterBackend[]): Promise<void> {
  for (const counter of counters) for (const name of names) counter.tryAddAll(name, USAGE);
  await sleep(IDLE_MS);
}

function wake(): () => void {
  const timer = setInterval(() => {}, SYNC_INTERVAL_MS);
  return () => clearInterval(timer);
}

function sent(): number {
  return clients.reduce((sum, { commands }) => sum + commands, 0);
}
