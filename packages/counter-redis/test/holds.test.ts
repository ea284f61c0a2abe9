import type { Hold } from "@usage/counter-core";
import { expect, it } from "vitest";
import { freshPrefix, manyCounters, patientClient } from "./support/counters.ts";
import { countsKey } from "./support/shared.ts";
import { SOON } from "./support/soon.ts";

const KEEP = { apiRequests: 8_000 };

it("holds are known to other instances, in their decisions, until they end", async () => {
  const [a, b] = await manyCounters(2, { prefix: freshPrefix() });
  if (a === undefined || b === undefined) throw new Error("two counters");
  for (const one of [a, b]) one.setLimits("oci", { apiRequests: 10_000 });
  const ten = (counter: typeof a): Hold[] => {
    return Array.from({ length: 10 }, () => counter.hold("oci", KEEP)).filter((hold) => hold !== undefined);
  };
  const holds = ten(a);
  await expect.poll(() => b.heldAll("oci").apiRequests, SOON).toBe(8_000);
  holds.push(...ten(b));
  expect(holds).toHaveLength(1);
  expect(b.heldAll("oci").apiRequests).toBe(8_000);
  expect(b.fits("oci", { apiRequests: 2_000 })).toBe(true);
  expect(b.fits("oci", { apiRequests: 2_001 })).toBe(false);
  expect(b.standing("oci").mode).toBe("approximate");
  expect(b.standing("oci").asOf).toBe(b.sharedAtMs());
  expect(Math.abs(Date.now() - (b.standing("oci").asOf ?? 0))).toBeLessThan(10_000);
  const freed: string[] = [];
  b.onFreed((backend) => freed.push(backend));
  holds[0]?.count({ apiRequests: 500 });
  holds[0]?.settle({ apiRequests: 2_500 });
  await expect.poll(() => b.totalAll("oci").apiRequests, SOON).toBe(3_000);
  expect(b.heldAll("oci").apiRequests).toBe(0);
  expect(b.fits("oci", { apiRequests: 7_000 })).toBe(true);
  expect(freed).toContain("oci");
});

it("what nobody ever held costs no field, and what is not held any more is given back", async () => {
  const prefix = freshPrefix();
  const [a] = await manyCounters(1, { prefix });
  const redis = await patientClient();
  const key = countsKey(prefix, a?.period().key ?? "", "oci");
  a?.addAll("oci", { apiRequests: 3 });
  await a?.sync();
  expect(Object.keys(await redis.hgetall(key)).sort()).toEqual([`/${a?.writer}`, ":d", ":s"].sort());
  const hold = a?.hold("oci", { egressBytes: 7 });
  await a?.sync();
  expect(await redis.hget(key, ":h")).toBe("0 7 0");
  hold?.void();
  await a?.sync();
  expect(await redis.hget(key, ":h")).toBe("0 0 0");
  a?.addAll("oci", { apiRequests: 1, egressBytes: 2 });
  await a?.sync();
  const [held, pair = ""] = await redis.hmget(key, ":h", `!${a?.writer}`);
  // Behind the time at which it last said that it holds something.
  expect([held, pair?.split(" ").slice(1).join(" ")]).toEqual(["0 0 0", "0 0 0 7 7 0 0 0 0"]);
  expect(a?.release("oci")).toBe(false);
});
