import { DrainConflictError } from "@usage/counter-core";
import type { RedisCounterBackend } from "@usage/counter-redis";
import { expect, it } from "vitest";
import { freshPrefix, manyCounters } from "./support/counters.ts";
import { SOON } from "./support/soon.ts";

const requests = (one: RedisCounterBackend): number => one.totalAll("oci").apiRequests;

it("swap takes what this instance counted, each its own; what all have used stays known to all", async () => {
  const [first, second] = (await manyCounters(2, { prefix: freshPrefix() })) as [
    RedisCounterBackend,
    RedisCounterBackend,
  ];
  first.add("oci", "apiRequests", 3);
  second.add("oci", "apiRequests", 4);
  await expect.poll(() => [first, second].map(requests), SOON).toEqual([7, 7]);
  expect([first.swap("oci", "apiRequests"), second.swap("oci", "apiRequests")]).toEqual([3, 4]);
  expect([first.swap("oci", "apiRequests"), second.swap("oci", "apiRequests")]).toEqual([0, 0]);
  // The caller has stored both: nothing of it is counted twice.
  for (const one of [first, second]) one.setBaseline("oci", { apiRequests: 7, egressBytes: 0, ingressBytes: 0 });
  expect([first, second].map(requests)).toEqual([7, 7]);
  second.add("oci", "apiRequests", 1);
  await expect.poll(() => [first, second].map(requests), SOON).toEqual([8, 8]);
  await expect(first.tallies()).rejects.toThrow(DrainConflictError);
});
