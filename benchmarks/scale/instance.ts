import { setTimeout as sleep } from "node:timers/promises";
import { LocalCounterBackend } from "@usage/counter-core";
import { RedisCounterBackend } from "@usage/counter-redis";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { UsageTracker } from "@usage/tracker";
import { answer } from "../child.ts";
import { openClient, WatchedClient } from "../redis/clients.ts";
import { tenantNames, USAGE } from "../redis/tenants.ts";

/** What one process of a fleet holds, and where. */
export interface InstanceOptions {
  readonly backends: number;
  /** A local counter, and the store in this file. */
  readonly sqliteFile?: string;
  /** A Redis counter, and the store in Postgres. */
  readonly redisUrl?: string;
  readonly postgresUrl?: string;
}

export interface InstanceStart {
  /** From nothing but a process until all backends are held, with all that is stored of them. */
  readonly startMs: number;
}

/** What it is told once all of the fleet are there. */
export interface InstanceOrder {
  readonly restMs: number;
  readonly flushes: number;
}

export interface InstanceRun {
  readonly residentMB: number;
  /** Of CPU time, of each second in which ten backends are counted. */
  readonly cpuMs: number;
  /** Commands to Redis in each second of that. */
  readonly commands: number;
  /** Of ten changes. */
  readonly flushMs: readonly number[];
}

const CHANGES = 10;
const LIMITS = { apiRequests: 1e9, egressBytes: 1e15, ingressBytes: 1e12 };

const options = JSON.parse(process.argv[2] ?? "") as InstanceOptions;
const names = tenantNames(options.backends);
const connection = options.redisUrl === undefined ? undefined : await openClient(options.redisUrl);
const client = connection && new WatchedClient(connection);
const store = await (options.postgresUrl === undefined
  ? openSqliteStore(options.sqliteFile ?? "")
  : openPostgresStore(options.postgresUrl));

const startedAt = performance.now();
const counter = client ? await RedisCounterBackend.connect({ client }) : new LocalCounterBackend();
const tracker = new UsageTracker(counter, { store, limits: () => LIMITS });
await tracker.ensure(names);
answer({ startMs: performance.now() - startedAt } satisfies InstanceStart);

process.on("message", async (order: InstanceOrder) => {
  answer(await run(order));
  if (counter instanceof RedisCounterBackend) await counter.close();
  await store.close();
  connection?.disconnect();
  process.disconnect();
});

async function run({ restMs, flushes }: InstanceOrder): Promise<InstanceRun> {
  const sent = client?.commands ?? 0;
  const cpu = process.cpuUsage();
  const start = performance.now();
  while (performance.now() - start < restMs) {
    tracker.record(anyName(), USAGE);
    await sleep(1_000 / CHANGES);
  }
  const seconds = (performance.now() - start) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  const commands = ((client?.commands ?? 0) - sent) / seconds;
  const { rss } = process.memoryUsage();
  const flushMs: number[] = [];
  for (let flush = 0; flush < flushes; flush++) {
    for (let change = 0; change < CHANGES; change++) tracker.record(anyName(), USAGE);
    const began = performance.now();
    await tracker.flush();
    flushMs.push(performance.now() - began);
  }
  // The first one stores what came while nothing was flushed.
  return { residentMB: rss / 1e6, cpuMs: (user + system) / 1e3 / seconds, commands, flushMs: flushMs.slice(1) };
}

function anyName(): string {
  return names[Math.floor(names.length * Math.random())] as string;
}
