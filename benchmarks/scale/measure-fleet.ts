import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type UsageStore, utcMonths } from "@usage/counter-core";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { startPostgres, startRedis } from "@usage/test-servers";
import { sql } from "drizzle-orm";
import { Child } from "../child.ts";
import { tenantNames, USAGE } from "../redis/tenants.ts";
import type { InstanceOptions, InstanceOrder, InstanceRun, InstanceStart } from "./instance.ts";

export interface FleetSize {
  readonly servers: "sqlite" | "redis";
  readonly backends: number;
  readonly instances: number;
}

/** What each instance of a fleet takes; one value for each where nothing else is said. */
export interface FleetUse extends FleetSize {
  /** Of the first one, to which Redis is empty. */
  readonly firstStartMs: number;
  /** Of the last one. */
  readonly lastStartMs: number;
  readonly residentMB: readonly number[];
  readonly cpuMs: readonly number[];
  readonly commands: readonly number[];
  /** One value for each flush. */
  readonly flushMs: readonly number[];
}

/** Rows that are merged at once. */
const CHUNK = 20_000;

/** Lets a fleet hold so many backends, of which an earlier run has stored something, and count ten of them each second. */
export async function measureFleet(size: FleetSize, order: InstanceOrder): Promise<FleetUse> {
  await using ends = new AsyncDisposableStack();
  const options = await serversOf(size, ends);
  const fleet: Child[] = [];
  ends.defer(() => Promise.all(fleet.map((child) => child.stop())).then(() => {}));
  const startsMs: number[] = [];
  for (let instance = 0; instance < size.instances; instance++) {
    const child = new Child("scale/instance.ts", { args: [JSON.stringify(options)] });
    fleet.push(child);
    startsMs.push((await child.ask<InstanceStart>()).startMs);
  }
  const runs = await Promise.all(fleet.map((child) => child.ask<InstanceRun>(order)));
  return {
    ...size,
    firstStartMs: startsMs[0] ?? Number.NaN,
    lastStartMs: startsMs.at(-1) ?? Number.NaN,
    residentMB: runs.map(({ residentMB }) => residentMB),
    cpuMs: runs.map(({ cpuMs }) => cpuMs),
    commands: runs.map(({ commands }) => commands),
    flushMs: runs.flatMap(({ flushMs }) => flushMs),
  };
}

async function serversOf({ servers, backends }: FleetSize, ends: AsyncDisposableStack): Promise<InstanceOptions> {
  if (servers === "sqlite") {
    const folder = await mkdtemp(join(tmpdir(), "usage-scale-"));
    ends.defer(() => rm(folder, { recursive: true }));
    const sqliteFile = join(folder, "usage.db");
    const store = await openSqliteStore(sqliteFile);
    await fill(store, backends, () => void store.db.run(AGED_SQLITE));
    return { backends, sqliteFile };
  }
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  ends.defer(() => Promise.all([redis.stop(), postgres.stop()]).then(() => {}));
  const store = await openPostgresStore(postgres.url);
  await fill(store, backends, async () => void (await store.db.execute(AGED_POSTGRES)));
  return { backends, redisUrl: redis.url, postgresUrl: postgres.url };
}

/** An hour ago: what was stored within the last minute is read again by each flush, since it may have been committed late. */
const AGED_SQLITE = sql`update usage_tallies set updated_at = updated_at - 3600000`;
const AGED_POSTGRES = sql`update usage_tallies set updated_at = updated_at - interval '1 hour'`;

async function fill(
  store: UsageStore & { close(): Promise<void> },
  backends: number,
  age: () => void | Promise<void>,
): Promise<void> {
  const names = tenantNames(backends);
  const { key: period } = utcMonths.at(Date.now());
  for (let from = 0; from < names.length; from += CHUNK) {
    const chunk = names.slice(from, from + CHUNK);
    await store.merge(chunk.map((backend) => ({ writer: "an-earlier-run", period, backend, usage: USAGE })));
  }
  await age();
  await store.close();
}
