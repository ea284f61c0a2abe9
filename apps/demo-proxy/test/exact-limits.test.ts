import { startPostgres, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Address } from "../src/config/address.ts";
import { startApp } from "./support/app.ts";
import { call } from "./support/call.ts";
import { report, type Servers, SOON, share } from "./support/shared-proxies.ts";

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

const LIMIT = 200;

/** Asks until a limit is used up for good. */
async function askUntilRefused(proxy: Address, path = "/objects/1", body?: Buffer): Promise<void> {
  for (;;) {
    const { status, headers } = await call(proxy, path, body && { method: "PUT", body });
    if (status === 429 && headers["x-should-retry"] === "false") return;
  }
}

describe("two proxies with exact limits", () => {
  it("let exactly as many requests through as the limit allows, whoever asks and however fast", async () => {
    const { config, upstream } = await share(servers, { apiRequests: LIMIT, enforcement: "exact" });
    const [one, other] = [await startApp(config), await startApp(config)];
    const clients = [one, one, one, one, one, one, other, other].map(({ proxy }) => askUntilRefused(proxy));
    await Promise.all(clients);
    expect(upstream.measured().apiRequests).toBe(LIMIT);
    for (const { admin } of [one, other]) {
      await vi.waitFor(async () => {
        const { backend } = await report(admin);
        expect(backend).toMatchObject({ usage: { apiRequests: LIMIT }, reserved: { apiRequests: 0 } });
      }, SOON);
    }
  });

  it("take uploads of announced length to the last byte of a limit", async () => {
    const { config, upstream } = await share(servers, { ingressBytes: 50_000, enforcement: "exact" });
    const proxies = [await startApp(config), await startApp(config)];
    const body = Buffer.alloc(250);
    await Promise.all([...proxies, ...proxies].map(({ proxy }) => askUntilRefused(proxy, "/objects/1", body)));
    expect(upstream.measured().ingressBytes).toBe(50_000);
  });

  it("pass a limit of downloaded bytes by no more than what runs", async () => {
    const { config, upstream } = await share(servers, { egressBytes: 50_000, enforcement: "exact" });
    const proxies = [await startApp(config), await startApp(config)];
    await Promise.all([...proxies, ...proxies].map(({ proxy }) => askUntilRefused(proxy, "/objects/300")));
    expect(upstream.measured().egressBytes).toBeGreaterThanOrEqual(50_000);
    expect(upstream.measured().egressBytes).toBeLessThan(50_000 + 4 * 300);
  });

  it("admit what was granted while they are cut off, then refuse with 503, and go on afterwards", {
    timeout: 60_000,
  }, async () => {
    const { config, upstream } = await share(servers, { apiRequests: 1_000, enforcement: "exact" });
    const { proxy } = await startApp(config);
    const status = async (): Promise<number> => (await call(proxy, "/objects/1")).status;
    await vi.waitFor(async () => expect(await status()).toBe(200), SOON);
    await servers.redis.pause();
    onTestFinished(() => servers.redis.resume());
    expect(await status()).toBe(200);
    await vi.waitFor(async () => {
      const { status, headers, json } = await call(proxy, "/objects/1");
      expect([status, headers["retry-after"]]).toEqual([503, "1"]);
      expect(json).toMatchObject({ detail: expect.stringContaining("offline") });
    }, SOON);
    const { apiRequests } = upstream.measured();
    expect(await status()).toBe(503);
    expect(upstream.measured().apiRequests).toBe(apiRequests);
    await servers.redis.resume();
    await vi.waitFor(async () => expect(await status()).toBe(200), SOON);
  });
});
