import type { UsageStore } from "@usage/counter-core";
import { RedisCounterBackend } from "@usage/counter-redis";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { UsageTracker } from "@usage/tracker";
import { Redis } from "ioredis";
import { answer } from "../child.ts";
import { openClient } from "../redis/clients.ts";
import { serverUse } from "../redis/server-use.ts";
import { interleave, roundsOf } from "../rounds.ts";
import { BACKENDS, clockAt, DAY_MS, RUN_USAGE, RUNS_A_DAY, YEAR_START } from "./year.ts";

/** A period's shared counts after so many writers, by round where it is timed. */
export interface GrownHashes {
  readonly writers: number;
  /** Of one backend's hash. */
  readonly fields: number;
  readonly bytes: number;
  /** A push of all backends, which have changed, per backend. */
  readonly pushUs: number[];
  /** Before it listens, an instance that starts brings what the store knows. */
  readonly startMs: number[];
  /** The first flush of an instance that starts in the next period reads all hashes of the one that is over, and stores them. */
  readonly firstFlushMs: number[];
}

export interface RedisGrowth {
  readonly hashes: readonly GrownHashes[];
  /** Bytes of all periods that are alive together at most: two that are over, and nine days of the one that goes on. */
  readonly aliveBytes: number;
}

const ROUNDS = roundsOf({ rounds: 5, warmups: 1 });
const NEVER_MS = 2 ** 31 - 1;
const JANUARY = YEAR_START + 30 * DAY_MS;
const FEBRUARY = YEAR_START + 32 * DAY_MS;

// Arguments: the servers, then numbers of writers, of which the last is a whole month's.
const [, , redisUrl = "", postgresUrl = "", ...args] = process.argv;
const client = await openClient(redisUrl);
const admin = new Redis(redisUrl);
await admin.flushall();
const grown: GrownHashes[] = [];
const samples: Record<string, () => Promise<number>> = {};
const ends: (() => Promise<void>)[] = [];
for (const writers of args.map(Number)) grown.push(await growHashes(writers));
await interleave(samples, ROUNDS);
for (const end of ends) await end();
for (const { pushUs, startMs, firstFlushMs } of grown) {
  for (const values of [pushUs, startMs, firstFlushMs]) values.splice(0, ROUNDS.warmups);
}
const found: RedisGrowth = { hashes: grown, aliveBytes: await aliveBytes(grown.at(-1)?.writers ?? 0) };
for (const redis of [client, admin]) redis.disconnect();
answer(found);

async function growHashes(writers: number): Promise<GrownHashes> {
  const prefix = `grown-${writers}`;
  const store = await openPostgresStore(await newDatabase(prefix));
  for (let run = 1; run < writers; run++) await live(prefix, JANUARY, store);
  const last = await connect(prefix, JANUARY);
  await count(last, store);
  const [key = ""] = await admin.keys(`${prefix}:v2:*:${BACKENDS[0]}`);
  const hashes: GrownHashes = {
    writers,
    fields: await admin.hlen(key),
    bytes: Number(await admin.memory("USAGE", key, "SAMPLES", 0)),
    pushUs: [],
    startMs: [],
    firstFlushMs: [],
  };
  samples[`push ${writers}`] = async () => {
    const tookMs = await timed(() => count(last));
    hashes.pushUs.push((tookMs * 1e3) / BACKENDS.length);
    return tookMs;
  };
  // A clock that is always the same instant's: each start is a writer more, which counts nothing, and leaves no field.
  samples[`start ${writers}`] = async () => {
    const counter = await connect(prefix, JANUARY);
    const tookMs = await timed(() => new UsageTracker(counter, { store }).refresh());
    await counter.close();
    hashes.startMs.push(tookMs);
    return tookMs;
  };
  samples[`first flush ${writers}`] = async () => {
    const counter = await connect(prefix, FEBRUARY);
    const tookMs = await timed(() => new UsageTracker(counter, { store }).flush());
    await counter.close();
    hashes.firstFlushMs.push(tookMs);
    return tookMs;
  };
  ends.push(async () => {
    await last.close();
    await store.close();
  });
  return hashes;
}

/** What the server holds when two periods that are over are not expired yet: they are, 40 days after their end. */
async function aliveBytes(writersAMonth: number): Promise<number> {
  await admin.flushall();
  const { memory } = await serverUse(admin);
  const march = YEAR_START + 59 * DAY_MS;
  for (const month of [JANUARY, FEBRUARY]) for (let run = 0; run < writersAMonth; run++) await live("alive", month);
  for (let run = 0; run < 9 * RUNS_A_DAY; run++) await live("alive", march);
  return (await serverUse(admin)).memory - memory;
}

/** One run of an instance. That it ends is all that tells it from one that goes on. */
async function live(prefix: string, atMs: number, store?: UsageStore): Promise<void> {
  const counter = await connect(prefix, atMs);
  await count(counter, store);
  await counter.close();
}

function connect(prefix: string, atMs: number): Promise<RedisCounterBackend> {
  return RedisCounterBackend.connect({
    client,
    prefix,
    backends: BACKENDS,
    clock: clockAt(atMs),
    syncIntervalMs: NEVER_MS,
  });
}

async function count(counter: RedisCounterBackend, store?: UsageStore): Promise<void> {
  for (const name of BACKENDS) counter.addAll(name, RUN_USAGE);
  await counter.sync();
  if (store !== undefined) await store.merge(await counter.tallies());
}

async function newDatabase(name: string): Promise<string> {
  const root = await openPostgresStore(postgresUrl);
  await root.db.execute(`create database "${name}"`);
  await root.close();
  return postgresUrl.replace(/[^/]*$/, name);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
