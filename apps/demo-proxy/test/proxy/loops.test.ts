import { describe, expect, it } from "vitest";
import type { Address } from "../../src/config/address.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { call } from "../support/call.ts";

/** A proxy that can be told later where its only backend is. */
async function start() {
  const upstream = await startUpstream();
  const config = testConfig([{ name: "oci", url: upstream.url, limits: { apiRequests: 100 } }]);
  const { app, proxy } = await startApp(config);
  const leadTo = ({ host, port }: Address) =>
    app.live.take(async () => ({
      ...config,
      backends: [{ name: "oci", url: new URL(`http://${host}:${port}`), limits: { apiRequests: 100 } }],
    }));
  return { proxy, leadTo, requests: () => app.tracker.counter.totalAll("oci").apiRequests };
}

describe("a backend whose address leads back to the proxy", () => {
  it("is asked once, and the client is told of the loop", async () => {
    const { proxy, leadTo, requests } = await start();
    await leadTo(proxy);
    const { status, text } = await call(proxy, "/objects/1", { method: "PUT", body: "12345" });
    expect([status, text]).toEqual([508, expect.stringContaining("leads back to the proxy itself")]);
    expect(requests()).toBe(1);
  });

  it("is found over another proxy, too", async () => {
    const [one, other] = [await start(), await start()];
    await one.leadTo(other.proxy);
    await other.leadTo(one.proxy);
    expect((await call(one.proxy, "/objects/1")).status).toBe(508);
    expect([one.requests(), other.requests()]).toEqual([1, 1]);
  });

  it("is told from a proxy behind another one", async () => {
    const [one, other] = [await start(), await start()];
    await one.leadTo(other.proxy);
    expect((await call(one.proxy, "/objects/1")).status).toBe(200);
    expect([one.requests(), other.requests()]).toEqual([1, 1]);
  });
});
