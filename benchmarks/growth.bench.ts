import { startPostgres, startRedis } from "@usage/test-servers";
import { answer, runChild } from "./child.ts";
import type { RedisGrowth } from "./growth/grow-redis.ts";
import type { GrownStore } from "./growth/grow-store.ts";
import { RUNS_A_DAY } from "./growth/year.ts";
import type { Row, Section, Table } from "./report.ts";
import { IS_SHORT, ratios } from "./rounds.ts";

const DAYS = IS_SHORT ? [1, 3] : [1, 31, 365];
const WRITERS = IS_SHORT ? [1, RUNS_A_DAY] : [1, RUNS_A_DAY, 31 * RUNS_A_DAY];

const METHOD = [
  `Each run of a process is a writer of its own, whose rows and fields stay: what do restarts and deployments leave behind? Three
instances, each of which begins twice a day (a restart and a deployment), 100 backends, three dimensions: ${RUNS_A_DAY} writers and
1,800 rows a day. In the month that goes on each is a real counter at that day's time, that flushes twice through a real tracker; of
the months before, the rows that it would have left are merged.`,
  `SQLite and Postgres: *totals* is \`store.totals\` of the month that goes on, which every flush reads; *history* is all months;
*flush* is one of a run that has flushed before, all 100 backends having grown. A store after ${DAYS.join(", ")} days each, beside
each other in every round. Day 31 is the last of a month, and so is day 365: the month that goes on is as full as it gets.`,
  `Redis: a hash per backend and month. *Push* is one call of \`merge.lua\` for all 100 backends, all of which have grown. *Start* is
the \`refreshBaselines\` of an instance that was just started, before it listens: it reads all rows of the month from Postgres and
merges them into Redis. *First flush* is that of an instance that was started in the month after: it reads all hashes of the month that
is over, whole, and sends them to Postgres, which has them. Hashes are kept for 40 days after their month: all that can be alive at
once are two months that are over and nine days of a third.`,
];

const sqlite = await grownStores("sqlite");
const postgres = await grownStores("postgres");
const redis = await grownRedis();
answer({
  title: "A year of restarts and deployments",
  method: METHOD,
  tables: [storeTable("SQLite", sqlite), storeTable("Postgres", postgres), redisTable(redis)],
} satisfies Section);

function grownStores(kind: "sqlite" | "postgres"): Promise<GrownStore[]> {
  return runChild<GrownStore[]>("growth/grow-store.ts", { args: [kind, ...DAYS.map(String)] });
}

async function grownRedis(): Promise<RedisGrowth> {
  const [server, database] = await Promise.all([startRedis(), startPostgres()]);
  try {
    const args = [server.url, database.url, ...WRITERS.map(String)];
    return await runChild<RedisGrowth>("growth/grow-redis.ts", { args });
  } finally {
    await Promise.all([server.stop(), database.stop()]);
  }
}

function storeTable(title: string, stores: readonly GrownStore[]): Table {
  const [fresh] = stores;
  const timed = (name: string, valuesOf: (store: GrownStore) => readonly number[]): Row[] =>
    stores.map((store) => ({
      subject: `${name}, ${dayText(store.days)}`,
      unit: "ms",
      values: valuesOf(store),
      ...(fresh && store !== fresh && { ratio: { to: "day 1", values: ratios(valuesOf(store), valuesOf(fresh)) } }),
    }));
  return {
    title,
    rows: [
      ...stores.map(({ days, rows }): Row => ({ subject: `rows, ${dayText(days)}`, unit: "", values: [rows] })),
      ...stores.map(
        ({ days, bytes }): Row => ({ subject: `size, ${dayText(days)}`, unit: "MB", values: [bytes / 1e6] }),
      ),
      ...timed("totals", ({ totalsMs }) => totalsMs),
      ...timed("flush", ({ flushMs }) => flushMs),
      ...timed("all tallies of the month", ({ talliesMs }) => talliesMs),
      ...timed("history", ({ historyMs }) => historyMs),
    ],
  };
}

function redisTable({ hashes, aliveBytes }: RedisGrowth): Table {
  const [fresh] = hashes;
  type Hashes = RedisGrowth["hashes"][number];
  const timed = (name: string, unit: string, valuesOf: (one: Hashes) => readonly number[]): Row[] =>
    hashes.map((one) => ({
      subject: `${name}, ${writersText(one.writers)}`,
      unit,
      values: valuesOf(one),
      ...(fresh && one !== fresh && { ratio: { to: "one writer", values: ratios(valuesOf(one), valuesOf(fresh)) } }),
    }));
  const single = (name: string, unit: string, read: (one: Hashes) => number): Row[] =>
    hashes.map((one) => ({ subject: `${name}, ${writersText(one.writers)}`, unit, values: [read(one)] }));
  return {
    title: "Redis",
    rows: [
      ...single("fields of a hash", "", ({ fields }) => fields),
      ...single("size of a hash", "bytes", ({ bytes }) => bytes),
      { subject: "all that is alive, at most", unit: "MB", values: [aliveBytes / 1e6] },
      ...timed("push, per backend", "us", ({ pushUs }) => pushUs),
      ...timed("start", "ms", ({ startMs }) => startMs),
      ...timed("first flush", "ms", ({ firstFlushMs }) => firstFlushMs),
    ],
  };
}

function dayText(days: number): string {
  return `day ${days}`;
}

function writersText(writers: number): string {
  return writers === 1 ? "one writer" : `${writers} writers`;
}
