import { type PeriodScheme, type Tally, utcDays, utcMonths } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { RedisCounterBackend } from "@usage/counter-redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { advance } from "./support/advance.ts";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { eventsOf } from "./support/events.ts";
import { keysOf } from "./support/shared.ts";
import { TappedClient } from "./support/tapped-client.ts";

const PROBE_MS = 1_000;

/** What was shared at one time by an instance that died, and another instance that starts at another time. */
async function inherited(diedAt: string, startedAt: string, periods: PeriodScheme = utcMonths) {
  const prefix = freshPrefix();
  const connected = async (at: string, client: TappedClient) => {
    const clock = new ManualClock(at);
    const options = { prefix, periods, clock, backends: ["oci"], pollIntervalMs: 1, failureThreshold: 1 };
    const one = await RedisCounterBackend.connect({ ...options, client });
    onTestFinished(() => one.close());
    return { one, clock, client };
  };
  const victim = await connected(diedAt, new TappedClient(await patientClient()));
  victim.one.add("oci", "apiRequests", 5);
  await victim.one.sync();
  const heir = await connected(startedAt, new TappedClient(await patientClient()));
  return { victim: victim.one, heir: { ...heir, prefix } };
}

const ofVictim = (tallies: readonly Tally[], { writer }: RedisCounterBackend): readonly Tally[] =>
  tallies.filter((tally) => tally.writer === writer);

describe("what nobody lived to store of a period that is over", () => {
  it("is found until it is stored, also when Redis is away before the store has taken it", async () => {
    const { victim, heir } = await inherited("2026-01-31T23:00:00Z", "2026-02-15T00:00:00Z");
    const { one, clock, client } = heir;
    expect(ofVictim(await one.tallies(), victim)).toMatchObject([{ period: "2026-01", usage: { apiRequests: 5 } }]);
    // The store failed, and after that Redis, too.
    client.fault = "rejects";
    await advance(clock, client, 25);
    expect(one.isHealthy()).toBe(false);
    one.add("oci", "apiRequests", 1);
    one.confirm(await one.tallies());
    client.fault = "none";
    await advance(clock, client, PROBE_MS);
    expect(one.isHealthy()).toBe(true);
    const found = await one.tallies();
    expect(ofVictim(found, victim)).toHaveLength(1);
    one.confirm(found);
    expect(ofVictim(await one.tallies(), victim)).toEqual([]);
  });

  it("is looked for once at a time, also when flushes that are given up follow each other", async () => {
    const { victim, heir } = await inherited("2026-01-31T23:00:00Z", "2026-02-15T00:00:00Z");
    const { one, client } = heir;
    await one.tallies();
    client.sent.length = 0;
    await one.tallies();
    const once = client.sent.splice(0).length;
    const all = await Promise.all([one.tallies(), one.tallies(), one.tallies()]);
    expect(client.sent).toHaveLength(once);
    for (const found of all) expect(ofVictim(found, victim)).toHaveLength(1);
    one.confirm(all[2]);
    expect(ofVictim(await one.tallies(), victim)).toEqual([]);
  });

  it.each(["epoch", "changes"] as const)(
    "cannot be looked for where a key of a bucket is spoilt (%s), which is told once, and holds up no other bucket",
    async (which) => {
      const { victim, heir } = await inherited("2026-02-15T00:00:00Z", "2026-02-15T00:00:00Z");
      const failures = eventsOf(heir.one, "failed");
      const redis = await patientClient();
      // Of the period before and of this one; both are other buckets than that of the victim's counts.
      for (const period of ["2026-01", "2026-02"]) {
        const key = keysOf(heir.prefix, period, "acme")[which];
        await redis.set(key, "x");
        for (let i = 0; i < 3; i++) await heir.one.tallies();
        expect(failures).toMatchObject([{ chore: "reconcile" }]);
        expect(String(failures[0]?.error)).toContain(key);
        expect(String(heir.one.lastError())).toContain(key);
        expect(ofVictim(await heir.one.tallies(), victim)).toMatchObject([{ period: "2026-02" }]);
        await redis.del(key);
        await heir.one.tallies();
        expect(heir.one.lastError()).toBe(undefined);
        failures.length = 0;
      }
    },
  );

  it("is looked for in all periods again until every bucket of them could be looked at", async () => {
    const { victim, heir } = await inherited("2026-01-02T12:00:00Z", "2026-01-06T12:00:00Z", utcDays);
    const redis = await patientClient();
    const { epoch } = keysOf(heir.prefix, "2026-01-02", "oci");
    await redis.rename(epoch, `${epoch}-aside`);
    await redis.set(epoch, "x");
    expect(ofVictim(await heir.one.tallies(), victim)).toEqual([]);
    await redis.rename(`${epoch}-aside`, epoch);
    expect(ofVictim(await heir.one.tallies(), victim)).toMatchObject([{ period: "2026-01-02" }]);
  });

  it("is found by whoever starts several periods later, as long as it is shared", async () => {
    const { victim, heir } = await inherited("2026-01-02T12:00:00Z", "2026-01-06T12:00:00Z", utcDays);
    const found = await heir.one.tallies();
    expect(ofVictim(found, victim)).toMatchObject([{ period: "2026-01-02", usage: { apiRequests: 5 } }]);
    heir.one.confirm(found);
    expect(ofVictim(await heir.one.tallies(), victim)).toEqual([]);
  });
});
