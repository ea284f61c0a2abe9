import { beforeEach, describe, expect, it } from "vitest";
import { IDLE_MS, LEASE_MS, LONG_MS, type Member, Members } from "./exact-members.ts";

const LIMIT = 10;

/** What chance hits on once in thousands of runs, written down. */
describe("an exact limit", () => {
  let members: Members;
  beforeEach(() => {
    members = new Members();
  });

  it("is not passed where somebody asks for what another one holds", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    const hold = await a.untilHeld(8);
    b.take(5);
    expect(await b.takeAll(LONG_MS)).toBe(2);
    a.settle(hold);
    expect(members.used()).toBe(LIMIT);
  });

  it("is not passed where Redis is wiped, and somebody who has a slice cannot say so again before its lease ends", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await a.untilSlice(6);
    a.link.isCut = true;
    members.redis.wipe();
    expect(await b.takeAll(0.7 * LEASE_MS)).toBe(0);
    a.take(6);
    a.link.isCut = false;
    await members.pass(LONG_MS);
    await b.takeAll(LONG_MS);
    expect(members.used()).toBe(LIMIT);
  });

  it("is not passed where Redis restarts from before a slice was granted", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await b.untilSlice(1);
    await members.pass(IDLE_MS);
    const snapshot = members.redis.snapshot();
    await a.untilSlice(6);
    a.link.isCut = true;
    members.redis.restore(snapshot);
    expect(await b.takeAll(0.7 * LEASE_MS)).toBe(0);
    a.take(6);
    a.link.isCut = false;
    await members.pass(LONG_MS);
    await b.takeAll(LONG_MS);
    expect(members.used()).toBe(LIMIT);
  });

  it("is not passed by who was silent for longer than a lease, and comes back when others have all", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await a.untilSlice(6);
    a.link.isCut = true;
    members.redis.wipe();
    const hold = await b.untilHeld(LIMIT);
    expect(a.take(1)).toBe(false);
    a.link.isCut = false;
    expect(await a.takeAll(LONG_MS)).toBe(0);
    b.settle(hold);
    expect(members.used()).toBe(LIMIT);
  });

  it("is not passed by who was silent, and comes back to a Redis that was wiped once more, before others do", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await a.untilSlice(6);
    a.link.isCut = true;
    members.redis.wipe();
    await b.untilHeld(LIMIT);
    b.link.isCut = true;
    members.redis.wipe();
    a.link.isCut = false;
    expect(await a.takeAll(LEASE_MS / 2)).toBe(0);
    b.link.isCut = false;
    expect(await a.takeAll(LONG_MS)).toBe(0);
  });

  it("is not passed where the last reply is late: a lease runs from when it was asked for", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await a.untilSlice(6);
    a.link.replyMs = 0.8 * LEASE_MS;
    await members.pass(50);
    a.link.isCut = true;
    members.redis.wipe();
    await members.pass(1.1 * LEASE_MS);
    await b.untilHeld(LIMIT);
    expect(a.take(1)).toBe(false);
  });

  it("is not passed by who opened a bucket, where that has lost slices since", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await a.untilSlice(1);
    await members.pass(IDLE_MS);
    await b.untilSlice(6);
    b.link.isCut = true;
    members.redis.wipe();
    expect(await a.takeAll(0.7 * LEASE_MS)).toBe(0);
    b.take(6);
    b.link.isCut = false;
    await members.pass(LONG_MS);
    await a.takeAll(LONG_MS);
    expect(members.used()).toBe(LIMIT);
  });

  it("is not passed by what a dead instance used and stored, where Redis has lost it", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    // It hears of nothing that is used meanwhile: only what the store has can keep it from that.
    b.link.isCut = true;
    expect(await a.takeAll(LONG_MS)).toBe(LIMIT);
    a.freeze();
    members.redis.wipe();
    b.link.isCut = false;
    await b.takeAll(2 * LONG_MS);
    const late = await members.join("late", LIMIT, true);
    await late.takeAll(LONG_MS);
    expect(members.used()).toBe(LIMIT);
  });

  it("is used on by who has a slice where Redis is wiped, and can say so again", async () => {
    const a = await members.join("a", LIMIT);
    await a.untilSlice(6);
    members.redis.wipe();
    await members.pass(LEASE_MS / 2);
    expect(a.take(6)).toBe(true);
  });

  it("that is lowered is not passed by who has a slice from before, cut off or not", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    b.settle(await b.untilHeld(5));
    await a.untilSlice(4);
    a.link.isCut = true;
    for (const member of [a, b]) member.limit(5);
    expect(a.take(1)).toBe(false);
    a.link.isCut = false;
    await members.pass(LONG_MS);
    for (const member of [a, b]) expect(await member.takeAll(LEASE_MS)).toBe(0);
    expect(members.used()).toBe(5);
  });

  it("is not passed where what is given back is on its way", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    b.settle(await b.untilHeld(4));
    a.link.replyMs = LEASE_MS / 2;
    await a.untilSlice(6);
    while (members.spokenFor("a") > 0) await members.pass(5);
    await b.untilHeld(6);
    expect(a.take(6)).toBe(false);
    expect(members.used()).toBe(LIMIT);
  });

  it("is used up where everything arrives twice, the second time when its sender has stopped", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    a.link.doubles = true;
    await a.untilSlice(3);
    const closed = a.counter.close();
    await members.pass(100);
    await closed;
    await members.pass(LONG_MS);
    expect(await b.takeAll(LONG_MS)).toBe(LIMIT);
  });

  it("is not passed by who hears from Redis and cannot say what it has", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await a.untilSlice(6);
    a.link.isRefused = true;
    members.redis.wipe();
    const hold = await b.untilHeld(LIMIT);
    expect(a.take(1)).toBe(false);
    a.link.isRefused = false;
    expect(await a.takeAll(LONG_MS)).toBe(0);
    b.settle(hold);
    expect(members.used()).toBe(LIMIT);
  });

  it("is not passed by who was frozen, and wakes when others have all", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await a.untilSlice(6);
    a.freeze();
    members.redis.wipe();
    await b.untilHeld(LIMIT);
    a.thaw();
    expect(a.take(1)).toBe(false);
    expect(await a.takeAll(LONG_MS)).toBe(0);
  });

  it("that is raised again is used up by all who were told", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    const [first, second] = [await a.untilHeld(4), await b.untilHeld(6)];
    for (const member of [a, b]) member.limit(LIMIT / 2);
    a.settle(first);
    b.settle(second);
    await members.pass(LONG_MS);
    for (const member of [a, b]) member.limit(LIMIT + 4);
    await a.untilSlice(2);
    expect(await b.takeAll(IDLE_MS)).toBe(4);
    expect(members.used()).toBe(LIMIT + 4);
  });

  it("of 10,000 is used up to the last unit, 99.5 % of it before anybody has waited for 100 ms", async () => {
    const all: Member[] = [];
    for (const name of ["a", "b", "c", "d"]) all.push(await members.join(name, 10_000));
    const waitedMs = all.map(() => 0);
    let atFirstRefusal: number | undefined;
    // Half of the load is on the first, and so on.
    for (let ms = 0; members.used() < 10_000 && ms < 20_000; ms += 5) {
      all.forEach((member, i) => {
        let left = 16 >> i;
        while (left > 0 && member.take(1)) left -= 1;
        waitedMs[i] = left > 0 ? (waitedMs[i] as number) + 5 : 0;
        if (waitedMs[i] > 100) atFirstRefusal ??= members.used();
      });
      await members.pass(5);
    }
    expect(members.used()).toBe(10_000);
    expect(atFirstRefusal ?? 10_000).toBeGreaterThanOrEqual(9_950);
    for (const member of all) expect(member.take(1)).toBe(false);
  });

  it("is whole in a new month, and what was not used of the one before is given back", async () => {
    members = new Members("2026-01-31T23:59:57Z");
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await members.pass(2_500);
    await a.untilSlice(6);
    await members.pass(1_000);
    expect(a.counter.period().key).toBe("2026-02");
    expect(members.spokenFor("a")).toBe(0);
    expect(await b.takeAll(2 * LONG_MS)).toBe(LIMIT);
  });

  it("is shared with who has nothing by who goes on using a little of much", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await a.untilSlice(8);
    let taken = 0;
    for (let ms = 0; taken < 5 && ms < 1_500; ms += 100) {
      const hold = a.hold(1);
      if (b.take(1)) taken += 1;
      await members.pass(100);
      hold?.void();
    }
    expect(taken).toBe(5);
  });

  it("is there for others once somebody who had a slice has stopped in order", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await a.untilSlice(6);
    const closed = a.counter.close();
    await members.pass(100);
    await closed;
    a.freeze();
    expect(await b.takeAll(LEASE_MS)).toBe(LIMIT);
  });

  it("loses what a dead instance had, and what a living one does not use comes back", async () => {
    const [a, b] = [await members.join("a", LIMIT), await members.join("b", LIMIT)];
    await a.untilSlice(2);
    await b.untilSlice(3);
    a.freeze();
    await members.pass(IDLE_MS);
    const stranded = members.spokenFor("a");
    expect(stranded).toBeGreaterThanOrEqual(2);
    expect(members.spokenFor("b")).toBe(0);
    expect(await b.takeAll(LONG_MS)).toBe(LIMIT - stranded);
  });
});
