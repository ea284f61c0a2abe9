import { startPostgres, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { send } from "../proxy/client.ts";
import { startApp } from "../support/app.ts";
import { configured } from "../support/configured-app.ts";
import { type Servers, SOON, share, sumsIn } from "../support/shared-proxies.ts";
import { clientOf, keyOf, noon, settings } from "./client-fixture.ts";

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

describe("a client of two proxies that share a Redis, where limits are exact", () => {
  it("gets all of its limit and no more, and is counted apart from a backend of its name", async () => {
    const LIMIT = 40;
    const { config, upstream, name, prefix } = await share(servers, { enforcement: "exact", waitMs: 2_000 });
    const yaml = settings("http://x", { clients: { [name]: `limits: { day: { apiRequests: ${LIMIT} } }` } });
    const { clients } = configured(yaml);
    const clock = noon();
    const both = { ...config, ...(clients && { clients }) };
    const [one, other] = await Promise.all([startApp(both, { clock }), startApp(both, { clock })]);
    const headers = { authorization: `Bearer ${keyOf(name)}` };
    const ask = async (i: number): Promise<number> =>
      (await send((i % 2 ? one : other).proxy.port, "/", { headers })).status;
    const statuses: number[] = [];
    for (let i = 0; i < 60; i += 10) {
      statuses.push(...(await Promise.all(Array.from({ length: 10 }, (_, at) => ask(i + at)))));
    }
    const passed = statuses.filter((status) => status === 200).length;
    expect(passed).toBe(LIMIT);
    expect(upstream.measured().apiRequests).toBe(LIMIT);
    for (const { admin } of [one, other]) {
      const seen = async () => (await clientOf(admin, name))?.windows.day?.usage.apiRequests;
      await expect.poll(seen, SOON).toBe(LIMIT);
    }
    const keys = (await servers.redis.command("KEYS", `${prefix}*`)) as readonly string[];
    const ofName = keys.filter((key) => key.endsWith(`:${name}`));
    expect(ofName.map((key) => key.slice(0, key.indexOf("{"))).sort()).toEqual([
      `${prefix}:clients:v2:`,
      `${prefix}:clients:v2:`,
      `${prefix}:v2:`,
    ]);
    for (const key of ofName) expect(await sumsIn(servers.redis, key)).toMatchObject({ apiRequests: LIMIT });

    // Its day is counted by another counter then, which shares it with that of before and with the other proxy's.
    await one.app.live.take(async () => {
      const moved = clients?.map((client) => ({ ...client, timeZone: "Europe/London" }));
      return { ...one.app.live.config, ...(moved && { clients: moved }) };
    });
    expect((await clientOf(one.admin, name))?.windows.day?.usage.apiRequests).toBe(LIMIT);
    for (let i = 0; i < 4; i++) expect(await ask(i)).toBe(429);
  });
});
