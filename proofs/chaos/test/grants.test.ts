import { setTimeout as sleep } from "node:timers/promises";
import { utcMonths } from "@usage/counter-core";
import { GrantConflictError } from "@usage/tracker";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Instance, WindowsFleet } from "./support/windows-fleet.ts";

const LIMIT = 100;
const CREDIT = 50;
const SOON = { timeout: 90_000, interval: 20 };
const OPTIONS = { windows: { month: utcMonths }, defaults: { month: { apiRequests: LIMIT } } };
const EXACT = { exact: ["month"] as const, leaseMs: 3_000 };

/** Uses what can be used until so much of it is, in all; returns what was. */
async function useUp(instances: readonly Instance<"month">[], amount: number): Promise<number> {
  let used = 0;
  const turn = async (): Promise<number> => {
    for (const { usage } of instances) {
      await usage.ensure("acme");
      if (usage.tryRecord("acme", { apiRequests: 1 })) used += 1;
    }
    return used;
  };
  await expect.poll(turn, SOON).toBeGreaterThanOrEqual(amount);
  // What is asked of Redis for more than there may be is answered by then.
  for (let i = 0; i < 20; i++) {
    await sleep(30);
    await turn();
  }
  return used;
}

describe("two instances with an exact limit, of which one grants more", () => {
  it("use all of it and what was granted, and no more, and the next month begins without it, while Redis forgets and the database fails", async () => {
    // So near the end that nobody is idle before it: who comes back gets new limits.
    const fleet = await WindowsFleet.start("2026-01-31T23:58:00Z", onTestFinished);
    const [one, other] = [await fleet.open(OPTIONS, EXACT), await fleet.open(OPTIONS, EXACT)];
    expect(await useUp([one, other], LIMIT)).toBe(LIMIT);

    const grant = { id: "ticket-7", reason: "an outage of ours" };
    await fleet.database.refuse();
    await expect(one.usage.grant("acme", { apiRequests: CREDIT }, grant)).rejects.toThrow();
    expect(one.usage.check("acme", {}).limits).toEqual({ apiRequests: LIMIT });
    await fleet.database.heal();

    await expect
      .poll(() => one.usage.grant("acme", { apiRequests: CREDIT }, grant).catch(() => "away"), SOON)
      .toBe(true);
    expect(one.usage.check("acme", {})).toMatchObject({ limits: { apiRequests: LIMIT + CREDIT } });
    await useUp([one], 1);
    await fleet.redis.command("FLUSHALL");
    expect(await one.usage.grant("acme", { apiRequests: CREDIT }, grant)).toBe(false);
    expect(await other.usage.grant("acme", { apiRequests: CREDIT }, grant)).toBe(false);
    await expect(other.usage.grant("acme", { apiRequests: 2 * CREDIT }, grant)).rejects.toThrow(GrantConflictError);
    const used = async (): Promise<number> => {
      await useUp([one, other], 0);
      return one.usage.check("acme", {}).usage.apiRequests;
    };
    await expect.poll(used, SOON).toBe(LIMIT + CREDIT);
    await useUp([one, other], 0);
    const third = await fleet.open(OPTIONS, EXACT);
    expect(third.usage.check("acme", {})).toMatchObject({
      limits: { apiRequests: LIMIT + CREDIT },
      granted: { apiRequests: CREDIT },
    });
    await Promise.all([one, other].map(({ usage }) => usage.flush()));

    fleet.clock.set("2026-01-31T23:59:59Z");
    await fleet.until("2026-02-01T00:00:01Z");
    expect(await useUp([one, other, third], LIMIT)).toBe(LIMIT);
    expect(one.usage.check("acme", {}).limits).toEqual({ apiRequests: LIMIT });
    for (const { usage } of [one, other, third]) await usage.close();
    const rows = (await one.store.history({})).map(({ period, usage }) => [period, usage.apiRequests]);
    expect(rows).toEqual([
      ["2026-01", LIMIT + CREDIT],
      ["2026-02", LIMIT],
    ]);
    const trail = await one.store.grants?.({ backend: "acme" });
    expect(trail).toMatchObject([{ ...grant, period: "2026-01", amounts: { apiRequests: CREDIT } }]);
  });
});
