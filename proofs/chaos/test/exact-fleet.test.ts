import { setTimeout as sleep } from "node:timers/promises";
import {
  type FaultProxy,
  type PostgresServer,
  type RedisServer,
  startFaultProxy,
  startPostgres,
  startRedis,
  startReplica,
} from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { FleetMember } from "../src/fleet/member.ts";
import { ExactFleet, LEASE_MS } from "./support/exact-fleet.ts";
import type { OnFinished } from "./support/fleet-on.ts";

const LIMIT = 4_000;
/** What one instance keeps free in one piece while it is out of reach. */
const KEPT = 1_000;
/** What each of the others has used before anything happens. */
const USED = 300;

let postgres: PostgresServer;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

/** Everybody ends in order, and all that they used is stored, to the last unit. */
async function endsExactly(fleet: ExactFleet): Promise<void> {
  const { stored, used, problems } = await fleet.end();
  expect([stored, problems]).toEqual([used, []]);
}

/** Also where Redis has lost data, all of it is used, and no more. */
async function usesAllOf(fleet: ExactFleet): Promise<void> {
  await fleet.untilUsedUp();
  expect(fleet.account().most).toBeLessThanOrEqual(LIMIT + (await fleet.mayBePassedBy()));
}

async function redisOf(onFinished: OnFinished): Promise<RedisServer> {
  const redis = await startRedis();
  onFinished(() => redis.stop());
  return redis;
}

async function proxyOf(server: { readonly url: string }, onFinished: OnFinished): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ port: Number(new URL(server.url).port) });
  onFinished(() => proxy.close());
  return proxy;
}

/** With an instance that has a way of its own to Redis, and others that share one and have used something. */
interface Parted {
  readonly fleet: ExactFleet;
  readonly redis: RedisServer;
  readonly alone: FleetMember;
  readonly others: readonly FleetMember[];
  readonly ownWay: FaultProxy;
  readonly othersWay: FaultProxy;
}

async function parted(onFinished: OnFinished, ...bursts: readonly number[]): Promise<Parted> {
  const redis = await redisOf(onFinished);
  const [ownWay, othersWay] = await Promise.all([proxyOf(redis, onFinished), proxyOf(redis, onFinished)]);
  const servers = { redis: { url: othersWay.url(redis.url) }, postgres };
  const fleet = new ExactFleet(servers, { limit: LIMIT, onFinished });
  const [alone, ...others] = await Promise.all([
    fleet.start(1, { redisUrl: ownWay.url(redis.url) }),
    ...bursts.map((burst) => fleet.start(burst)),
  ]);
  // Not a load: on a busy machine that may use up the limit before anything else is heard.
  for (const member of others) {
    await fleet.reserve(member, USED);
    await member.settle();
  }
  return { fleet, redis, alone, others, ownWay, othersWay };
}

/** Ways to lose what Redis was told last. What is returned does it. */
const LOSSES = {
  "all of its data is deleted": async ({ redis }) => {
    return async () => void (await redis.command("FLUSHALL"));
  },
  "it is started from an older snapshot": async ({ redis }) => {
    const snapshot = await redis.snapshot();
    return () => redis.startFrom(snapshot);
  },
  "a replica that lags takes its place": async ({ redis, ownWay, othersWay }, onFinished) => {
    const replica = await startReplica(redis);
    onFinished(() => replica.stop());
    await replica.pauseReplication();
    return async () => {
      await redis.kill();
      await replica.promote();
      for (const way of [ownWay, othersWay]) way.connectTo(replica.port);
    };
  },
  "it is killed and started empty": async ({ redis }) => {
    return () => redis.startEmpty();
  },
} satisfies Record<string, (all: Parted, onFinished: OnFinished) => Promise<() => Promise<void>>>;

/** Ways for an instance not to be heard, or not to hear. */
const PARTITIONS = {
  "is frozen": ({ alone }) => alone.instance.pause(),
  "hears no reply": ({ ownWay }) => {
    ownWay.dropReplies = true;
  },
  "is not heard": ({ ownWay }) => {
    ownWay.dropRequests = true;
  },
  "is cut off": ({ ownWay }) => ownWay.refuse(),
} satisfies Record<string, (all: Parted) => unknown>;

describe.concurrent("several processes with an exact limit", () => {
  it.for([
    [2, LIMIT],
    [8, 10_000],
  ] as const)(
    "%i of them use all of it and no more, %i, and are refused when hardly anything is left",
    async ([size, limit], { onTestFinished }) => {
      const redis = await redisOf(onTestFinished);
      const fleet = new ExactFleet({ redis, postgres }, { limit, onFinished: onTestFinished });
      const members = await fleet.startAll(...Array.from({ length: size }, (_, i) => Math.ceil(8 / (1 + i))));
      // Nobody is refused because it has just begun.
      for (const member of members) await fleet.reserve(member, 1);
      await Promise.all(members.map((member) => member.load()));
      await fleet.untilUsed(limit);
      await Promise.all(members.map((member) => member.settle()));
      await fleet.untilUsedUp();
      const { most, used, atFirstRefusal } = fleet.account();
      expect([most, used]).toEqual([limit, limit]);
      expect(atFirstRefusal).toBeGreaterThanOrEqual(0.995 * limit);
      await endsExactly(fleet);
    },
  );

  it.for([
    ["all of its data is deleted", "hears no reply"],
    ["it is started from an older snapshot", "is frozen"],
    ["a replica that lags takes its place", "is not heard"],
    ["it is killed and started empty", "is cut off"],
  ] as const)(
    "do not pass it when Redis forgets (%s) while one of them %s, who is back within its lease",
    async ([loss, partition], { onTestFinished }) => {
      const all = await parted(onTestFinished, 5, 8);
      const { fleet, alone, others, ownWay } = all;
      const lose = await LOSSES[loss](all, onTestFinished);
      await fleet.reserve(alone, KEPT);
      await PARTITIONS[partition](all);
      await lose();
      await Promise.all(others.map((member) => member.load()));
      await sleep(LEASE_MS / 2);
      if (partition === "is frozen") alone.instance.resume();
      await ownWay.heal();
      await fleet.untilUsed(LIMIT);
      await alone.settle();
      await alone.load();
      await usesAllOf(fleet);
      await endsExactly(fleet);
    },
  );

  it.for([["nothing"], ["all of its data"]] as const)(
    "pass it by what one of them used that was out of reach for longer than its lease, and only when Redis has lost what it knew of that: %s",
    async ([lost], { onTestFinished }) => {
      const { fleet, redis, alone, others, ownWay } = await parted(onTestFinished, 3);
      await fleet.reserve(alone, KEPT);
      await Promise.all([alone, ...others].map((member) => member.load()));
      await sleep(200);
      ownWay.blackHole = true;
      if (lost !== "nothing") await redis.command("FLUSHALL");
      await sleep(1.2 * LEASE_MS);
      // What it kept is free again, and none of it may be used.
      await alone.rest();
      const usedAlone = fleet.usedBy(alone);
      await alone.load();
      // Nobody else knows what it used and kept free.
      const unknown = lost === "nothing" ? 0 : usedAlone + KEPT - (await fleet.storedOf(alone));
      await sleep(1_000);
      // Else what it was granted is nobody's until it is back.
      if (lost !== "nothing") await fleet.untilUsed(LIMIT);
      expect(fleet.usedBy(alone)).toBe(usedAlone);
      await ownWay.heal();
      await fleet.untilUsedUp();
      expect(fleet.account().most).toBeLessThanOrEqual(LIMIT + unknown);
      await endsExactly(fleet);
    },
  );

  it("do not pass it when some are killed, also between a reservation and its settlement, but by what Redis loses of the dead", async ({
    onTestFinished,
  }) => {
    const redis = await redisOf(onTestFinished);
    const fleet = new ExactFleet({ redis, postgres }, { limit: LIMIT, onFinished: onTestFinished });
    const [first, second, third] = (await fleet.startAll(1, 2, 1)) as [FleetMember, FleetMember, FleetMember];
    await fleet.reserve(third, 200);
    await Promise.all([first, second, third].map((member) => member.load()));
    await fleet.untilUsed(1_000);
    await second.kill();
    await third.kill();
    const fourth = await fleet.start(3);
    await fourth.load();
    // What the dead had left is nobody's.
    expect(await fleet.untilStill()).toBeLessThanOrEqual(LIMIT);

    expect(await fleet.mayBePassedBy()).toBeGreaterThanOrEqual(200);
    await redis.command("FLUSHALL");
    await usesAllOf(fleet);
    await endsExactly(fleet);
  });

  it("use nothing while Redis hangs for longer than their leases, and then use all of it and no more", async ({
    onTestFinished,
  }) => {
    const redis = await redisOf(onTestFinished);
    const fleet = new ExactFleet({ redis, postgres }, { limit: LIMIT, onFinished: onTestFinished });
    const members = await fleet.startAll(1, 2);
    const [first] = members as [FleetMember];
    // Before the load: on a busy machine that may use up the rest before anything else is heard.
    await fleet.reserve(first, KEPT);
    await Promise.all(members.map((member) => member.load()));
    await fleet.untilUsed(KEPT + 500);
    redis.pause();
    await sleep(LEASE_MS + 500);
    // What it kept is free again, and none of it may be used.
    await first.rest();
    const before = fleet.account().used;
    await first.load();
    await sleep(500);
    // What runs on may still give back.
    expect(fleet.account().used).toBeLessThanOrEqual(before);
    expect(before).toBeLessThan(LIMIT);
    redis.resume();
    await fleet.untilUsedUp();
    const { most, used } = fleet.account();
    expect([most, used]).toEqual([LIMIT, LIMIT]);
    await endsExactly(fleet);
  });

  it("use all of it and no more while the database is away, though Redis forgets everything meanwhile", async ({
    onTestFinished,
  }) => {
    const redis = await redisOf(onTestFinished);
    const way = await proxyOf(postgres, onTestFinished);
    const fleet = new ExactFleet({ redis, postgres }, { limit: LIMIT, onFinished: onTestFinished });
    const databaseUrl = way.url(postgres.url);
    const members = await Promise.all([1, 2, 2].map((burst) => fleet.start(burst, { databaseUrl })));
    await Promise.all(members.map((member) => member.load()));
    await fleet.untilUsed(800);
    // What a dead one used is known to the database alone, later.
    const [dead] = members as [FleetMember];
    await dead.rest();
    expect(await dead.flush()).toBe(true);
    await dead.kill();
    expect(await fleet.storedOf(dead)).toBe(fleet.usedBy(dead));
    await fleet.untilUsed(1_500);
    await way.refuse();
    await fleet.untilUsed(2_500);
    await redis.command("FLUSHALL");
    // Longer than it takes until slices would be granted again.
    await sleep(1.3 * LEASE_MS);
    expect(fleet.account().used).toBeLessThan(LIMIT);
    await way.heal();
    await usesAllOf(fleet);
    await endsExactly(fleet);
  });
});
