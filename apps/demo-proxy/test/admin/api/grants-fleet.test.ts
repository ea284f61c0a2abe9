import { startPostgres, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Address } from "../../../src/config/address.ts";
import { startApp } from "../../support/app.ts";
import { call } from "../../support/call.ts";
import { type Servers, SOON, share } from "../../support/shared-proxies.ts";

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

/** How many of so many requests at once pass. */
async function passing(proxies: readonly Address[], count: number): Promise<number> {
  const each = Array.from({ length: count }, (_, n) => proxies[n % proxies.length] as Address);
  const statuses = await Promise.all(each.map(async (proxy) => (await call(proxy, "/objects/1")).status));
  return statuses.filter((status) => status === 200).length;
}

describe("a grant, with Redis and Postgres", () => {
  it("is made once by proxies that are asked at once, and with exact limits all of it is used and no more", async () => {
    const { config, name, upstream } = await share(servers, { apiRequests: 10, enforcement: "exact" });
    const [a, b] = [await startApp(config), await startApp(config)];
    const proxies = [a.proxy, b.proxy];
    let passed = 0;
    const useAll = (limit: number) =>
      vi.waitFor(async () => {
        passed += await passing(proxies, 10);
        expect(passed).toBe(limit);
      }, SOON);
    await useAll(10);
    const body = JSON.stringify({ id: "ticket-4711", amounts: { apiRequests: 15 }, reason: "our outage" });
    const statuses = await Promise.all(
      Array.from({ length: 10 }, async (_, n) => {
        const { admin } = n % 2 === 0 ? a : b;
        return (await call(admin, `/api/backends/${name}/grants`, { method: "POST", body })).status;
      }),
    );
    expect(statuses.toSorted()).toEqual([...Array(9).fill(200), 201]);
    await useAll(25);
    expect(await passing(proxies, 10)).toBe(0);
    expect([passed, upstream.measured().apiRequests]).toEqual([25, 25]);
    const { json } = await call(b.admin, `/api/grants?backend=${name}`);
    expect(json).toMatchObject({ grants: [{ backend: name, amounts: { apiRequests: 15 } }] });
  });

  it("is learnt by a proxy that nobody asked with its next flush", async () => {
    const { config, name } = await share(servers, { apiRequests: 2 });
    const [a, b] = [await startApp(config), await startApp(config)];
    const body = JSON.stringify({ id: "1", amounts: { apiRequests: 3 }, reason: "r" });
    expect((await call(a.admin, `/api/backends/${name}/grants`, { method: "POST", body })).status).toBe(201);
    await call(b.admin, "/api/flush", { method: "POST" });
    expect((await call(b.admin, "/api/usage")).json).toMatchObject({
      backends: [{ limits: { apiRequests: 5 }, granted: { apiRequests: 3 } }],
    });
    expect(await passing([b.proxy], 5)).toBe(5);
  });
});
