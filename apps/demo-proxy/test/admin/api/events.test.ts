import { describe, expect, it, onTestFinished } from "vitest";
import type { LiveReport } from "../../../src/admin/api/live/live-report.ts";
import type { Address } from "../../../src/config/address.ts";
import { startApp, startUpstream, testConfig } from "../../support/app.ts";
import { call } from "../../support/call.ts";
import { invalid } from "../../support/described.ts";

/** The events of a proxy, one after the other. */
async function listen({ host, port }: Address, headers: Record<string, string> = {}) {
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const response = await fetch(`http://${host}:${port}/api/events`, { headers, signal: abort.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const next = async (): Promise<LiveReport> => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end !== -1) {
        const event = text.slice("data: ".length, end);
        text = text.slice(end + 2);
        return JSON.parse(event);
      }
      const { value, done } = (await reader?.read()) ?? { done: true };
      if (done) throw new Error("the stream ended");
      text += value;
    }
  };
  return { response, next, close: () => abort.abort() };
}

describe("GET /api/events", () => {
  it("tells the usage report at once and every second what changed, with rates and projections", async () => {
    const upstream = await startUpstream();
    const limits = { apiRequests: 1_000 };
    const config = testConfig(["oci", "unused"].map((name) => ({ name, url: upstream.url, limits })));
    const { proxy, admin } = await startApp(config);
    const { response, next } = await listen(admin);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    // Neither kept, nor collected or compressed on the way.
    expect(response.headers.get("cache-control")).toBe("no-store, no-transform");
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    const usage = (await call(admin, "/api/usage")).json as { backends: readonly Record<string, unknown>[] };
    const first = await next();
    // Where settings come from changes rarely, and is not told each second.
    const backends = usage.backends.map(({ settings: _, ...backend }) => backend);
    expect(first).toMatchObject({ ...usage, backends });
    expect(invalid(["components", "schemas", "Live"], first)).toBeUndefined();
    expect(first).toMatchObject({ proxy: { address: `127.0.0.1:${proxy.port}`, routing: "pack" } });
    for (let n = 0; n < 20; n += 1) await call(proxy, "/objects/100");
    let second = await next();
    // A busy machine needs more than a second for them.
    while (second.backends[0]?.usage.apiRequests !== 20) second = await next();
    expect([first.whole, second.whole]).toEqual([true, false]);
    expect(second.backends.map(({ name }) => name)).toEqual(["oci"]);
    const [backend] = second.backends;
    expect(backend?.usage).toEqual({ apiRequests: 20, egressBytes: 2_000, ingressBytes: 0 });
    expect(backend?.perSecond.apiRequests).toBeGreaterThan(0);
    expect(backend?.averagePerSecond.egressBytes).toBeGreaterThan(0);
    expect(backend?.outlook.apiRequests).toEqual({ atEnd: null, limitAt: null });
    expect(Date.parse(second.at) - Date.parse(first.at)).toBeGreaterThan(900);
  });

  it("demands the token", async () => {
    const upstream = await startUpstream();
    const admin = { listen: { host: "127.0.0.1", port: 0 }, token: "s3cret" };
    const { admin: bound } = await startApp(testConfig([{ name: "oci", url: upstream.url, limits: {} }], { admin }));
    expect((await call(bound, "/api/events")).status).toBe(401);
    const { next } = await listen(bound, { authorization: "Bearer s3cret" });
    expect((await next()).backends).toHaveLength(1);
  });

  it("answers 503 to the fifty-first who listens, and lets in the next when one has gone", async () => {
    const upstream = await startUpstream();
    const { admin } = await startApp(testConfig([{ name: "oci", url: upstream.url, limits: {} }]));
    const [first, ...others] = await Promise.all(Array.from({ length: 50 }, () => listen(admin)));
    expect(others).toHaveLength(49);
    expect(await call(admin, "/api/events")).toMatchObject({ status: 503, json: { title: "Too many listeners" } });
    expect(await call(admin, "/api/events", { method: "HEAD" })).toMatchObject({ status: 503 });
    first?.close();
    await expect.poll(async () => (await listen(admin)).response.status).toBe(200);
  });
});
