import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { currentPeriod, type UsageStore } from "@usage/counter-core";
import { openPostgresStore } from "@usage/store-drizzle/postgres";
import { openSqliteStore } from "@usage/store-drizzle/sqlite";
import { startPostgres, startRedis } from "@usage/test-servers";
import type { ThresholdEvent } from "@usage/tracker";
import { describe, expect, it, onTestFinished } from "vitest";
import { Child } from "../support/child.ts";
import { tempFolder } from "../support/temp-folder.ts";
import type { InstanceTask } from "./instance.ts";
import { Receiver } from "./receiver.ts";

const BACKENDS = ["acme", "b2", "oci"];
const LIMIT = 1_000;
const THRESHOLDS = [0.1, 0.25, 0.5, 0.8, 1];

interface Place {
  readonly place: string;
  readonly redisUrl?: string;
  readonly store: UsageStore;
}

async function onSqlite(): Promise<Place> {
  const place = join(tempFolder(), "usage.db");
  const store = await openSqliteStore(place);
  onTestFinished(() => store.close());
  return { place, store };
}

async function onPostgres(): Promise<Place> {
  const server = await startPostgres();
  onTestFinished(() => server.stop());
  const store = await openPostgresStore(server.url);
  onTestFinished(() => store.close());
  return { place: server.url, store };
}

async function onPostgresAndRedis(): Promise<Place> {
  const redis = await startRedis();
  onTestFinished(() => redis.stop());
  return { ...(await onPostgres()), redisUrl: redis.url };
}

const places = [
  ["SQLite", onSqlite],
  ["Postgres", onPostgres],
  ["Postgres with Redis", onPostgresAndRedis],
] as const;

/** A receiver, and how to start processes that tell it of a place's thresholds. */
async function fleetOn({ place, redisUrl, store }: Place) {
  const receiver = new Receiver();
  await receiver.start();
  onTestFinished(() => receiver.stop());
  const start = async (task: Partial<InstanceTask> = {}): Promise<Child> => {
    const all: InstanceTask = {
      place,
      ...(redisUrl !== undefined && { redisUrl }),
      receiver: receiver.url,
      backends: BACKENDS,
      limit: LIMIT,
      thresholds: THRESHOLDS,
      most: 4,
      retryMs: { first: 400, max: 800 },
      timeoutMs: 300,
      ...task,
    };
    const child = new Child("test/thresholds/instance.ts", [JSON.stringify(all)], process.cwd());
    await child.line(/^(started)$/m);
    return child;
  };
  const stored = async (): Promise<ReadonlyMap<string, number>> => {
    const { usage } = await store.totals(currentPeriod(), "");
    return new Map(Array.from(usage, ([backend, { all }]) => [backend, all.apiRequests]));
  };
  /** What is crossed, of what is stored. */
  const crossed = async (): Promise<readonly string[]> =>
    Array.from(await stored()).flatMap(([backend, used]) =>
      THRESHOLDS.filter((threshold) => used >= threshold * LIMIT).map((threshold) => `${backend} ${threshold}`),
    );
  return { receiver, start, stored, crossed };
}

const nameOf = ({ backend, threshold }: ThresholdEvent): string => `${backend} ${threshold}`;

async function kill(child: Child): Promise<void> {
  child.process.kill("SIGKILL");
  await child.exit();
}

async function end(child: Child): Promise<void> {
  child.process.kill("SIGTERM");
  expect(await child.exit(), child.errors).toBe(0);
}

describe.each(places)("thresholds on %s", { timeout: 120_000 }, (_, placeOf) => {
  it("are told once each where nothing fails, by one of several processes", async () => {
    const { receiver, start, stored, crossed } = await fleetOn(await placeOf());
    const patient = { most: 60, retryMs: { first: 60_000, max: 60_000 }, timeoutMs: 30_000 };
    const fleet = await Promise.all([start(patient), start(patient), start(patient)]);
    await expect
      .poll(async () => Math.min(...(await stored()).values()), { timeout: 60_000, interval: 100 })
      .toBeGreaterThan(LIMIT);
    const expected = BACKENDS.flatMap((backend) => THRESHOLDS.map((threshold) => `${backend} ${threshold}`)).sort();
    await expect.poll(() => receiver.received.length, { timeout: 30_000 }).toBeGreaterThanOrEqual(expected.length);
    await Promise.all(fleet.map(end));
    expect((await crossed()).toSorted()).toEqual(expected);
    expect(receiver.received.map(({ event }) => nameOf(event)).sort()).toEqual(expected);
  });

  it("are told at least once, under one id each and never early, while processes are killed and the receiver fails", async () => {
    const { receiver, start, stored, crossed } = await fleetOn(await placeOf());
    const early: ThresholdEvent[] = [];
    receiver.onEvent = async (event) => {
      const used = (await stored()).get(event.backend) ?? 0;
      if (used < event.usage || event.usage < event.threshold * event.limit) early.push(event);
    };
    let events = 0;
    // All that can be wrong, in turns.
    receiver.mood = () => (["takes", "refuses", "takes", "hangs"] as const)[events++ % 4] ?? "takes";
    const fleet = await Promise.all([start({ most: 1 }), start({ most: 1 }), start({ most: 1 })]);
    // On a busy machine it takes more rounds until something is crossed.
    const isEnough = async (): Promise<boolean> => (await crossed()).length > BACKENDS.length;
    for (let round = 0; round < 6 || (round < 60 && !(await isEnough())); round++) {
      await sleep(Math.min(650, 150 + 100 * round));
      const victim = fleet.shift();
      if (victim !== undefined) await kill(victim);
      if (round === 2) await receiver.stop();
      if (round === 4) await receiver.start();
      fleet.push(await start({ most: 1 }));
    }
    await Promise.all(fleet.map(kill));
    // What the last of them left, one that uses nothing finds and tells.
    receiver.mood = () => "takes";
    const last = await start({ most: 0 });
    // With Redis it also stores what the dead had shared, so more may be crossed by and by.
    const isLeft = async (): Promise<readonly string[]> => {
      const told = new Set(receiver.taken.map(nameOf));
      return (await crossed()).filter((name) => !told.has(name));
    };
    await expect.poll(isLeft, { timeout: 30_000, interval: 100 }).toEqual([]);
    await end(last);
    expect(await isLeft()).toEqual([]);
    expect(early).toEqual([]);
    const ids = new Map(receiver.received.map(({ event }) => [nameOf(event), event.id]));
    expect(receiver.received.filter(({ event }) => ids.get(nameOf(event)) !== event.id)).toEqual([]);
    expect(new Set(ids.values()).size).toBe(ids.size);
    expect([...ids.keys()].sort()).toEqual([...(await crossed())].sort());
    expect(ids.size).toBeGreaterThan(BACKENDS.length);
  });

  it("that somebody claimed and did not take, or took and did not tell, before it was killed are told by another", async () => {
    const { receiver, start } = await fleetOn(await placeOf());
    const used = { backends: ["acme"], thresholds: [0.1] };
    const mute = await start({ ...used, most: 200, isMute: true });
    await mute.line(/^(claimed 0\.1 of 1000 to default)$/m);
    await kill(mute);
    expect(receiver.received).toEqual([]);
    receiver.mood = () => "hangs";
    const hanging = await start({ ...used, most: 0, retryMs: { first: 1_000, max: 1_000 }, timeoutMs: 900 });
    await expect.poll(() => receiver.received.length, { timeout: 20_000, interval: 5 }).toBe(1);
    await kill(hanging);
    receiver.mood = () => "takes";
    const last = await start({ ...used, most: 0 });
    await expect.poll(() => receiver.taken.length, { timeout: 20_000, interval: 20 }).toBe(1);
    await end(last);
    expect(receiver.received.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(new Set(receiver.received.map(({ event }) => event.id)).size).toBe(1);
  });
});
