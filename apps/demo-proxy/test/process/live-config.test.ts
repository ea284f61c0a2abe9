import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { memoryStore, systemClock, type UsageStore } from "@usage/counter-core";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import type { BackendConfig } from "../../src/config/proxy-config.ts";
import { BackendWatch } from "../../src/log/backend-watch.ts";
import { startWebSockets } from "../proxy/websocket-upstream.ts";
import { startApp, startUpstream, testConfig } from "../support/app.ts";
import { call } from "../support/call.ts";
import { startHeldUpstream } from "../support/held-upstream.ts";
import { recordedLog } from "../support/recorded-log.ts";
import { startProxy, writeConfig } from "../support/running-proxy.ts";
import { tempFolder } from "../support/temp-folder.ts";

const usage = async (admin: Parameters<typeof call>[0]) => JSON.parse((await call(admin, "/api/usage")).text);

describe("a configuration that is taken over while the proxy runs", () => {
  it("brings limits, routing and backends to the requests that come, at once", async () => {
    const [one, two] = [await startUpstream(), await startUpstream()];
    const oci: BackendConfig = { name: "oci", url: one.url, limits: { apiRequests: 1 } };
    const config = testConfig([oci]);
    const { app, proxy } = await startApp(config);
    expect((await call(proxy, "/objects/1")).status).toBe(200);
    expect((await call(proxy, "/objects/1")).status).toBe(429);
    const b2: BackendConfig = { name: "b2", url: two.url, limits: { apiRequests: 1 } };
    const change = await app.live.take(async () => ({ ...config, backends: [oci, b2] }));
    expect(change).toMatchObject({ added: ["b2"], removed: [], changed: [], renewed: [], needRestart: [] });
    expect((await call(proxy, "/objects/1")).status).toBe(200);
    expect((await call(proxy, "/objects/1")).status).toBe(429);
    await app.live.take(async () => ({ ...config, backends: [{ ...oci, limits: { apiRequests: 2 } }, b2] }));
    expect((await call(proxy, "/objects/1")).status).toBe(200);
    expect([one.measured().apiRequests, two.measured().apiRequests]).toEqual([2, 1]);
  });

  it("says how long WebSockets of a backend that drains or moves stay open, at the start and while it runs", async () => {
    const [upstream, elsewhere] = [await startWebSockets(), await startUpstream()];
    const url = new URL(`http://127.0.0.1:${upstream.port}`);
    const config = (graceMs: number) => ({
      ...testConfig([{ name: "oci", url, limits: {} }]),
      shutdown: { drainDelayMs: 0, graceMs },
    });
    // Far less than the default, so that each is seen to be taken.
    const [begun, changed] = [await startApp(config(0)), await startApp(config(3_600_000))];
    await changed.app.live.take(async () => config(0));
    const drain = ({ admin }: typeof begun) => call(admin, "/api/backends/oci/drain", { method: "POST" });
    const move = ({ app }: typeof begun) =>
      app.live.take(async () => ({ ...config(0), backends: [{ name: "oci", url: elsewhere.url, limits: {} }] }));
    const moved = await startApp(config(0));
    for (const [one, take] of [
      [begun, drain],
      [changed, drain],
      [moved, move],
    ] as const) {
      const { proxy } = one;
      const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/`);
      let code = 0;
      socket.on("close", (closed: number) => {
        code = closed;
      });
      await once(socket, "open");
      const drainedAt = performance.now();
      await take(one);
      await expect.poll(() => code, { timeout: 9_000 }).toBe(1001);
      expect(performance.now() - drainedAt).toBeLessThan(9_000);
    }
  });

  it("knows what was used of a backend before it sends anything there", async () => {
    const upstream = await startUpstream();
    const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }]);
    const { app, proxy } = await startApp(config);
    const { key } = app.tracker.counter.period();
    await app.store.merge([{ writer: "import", period: key, backend: "b2", usage: { apiRequests: 5 } }]);
    await app.live.take(async () => ({
      ...config,
      backends: [{ name: "b2", url: upstream.url, limits: { apiRequests: 5 } }],
    }));
    expect((await call(proxy, "/objects/1")).status).toBe(429);
    expect(upstream.measured().apiRequests).toBe(0);
  });

  it("is refused while it is not known what was used of a new backend, however often it is tried", async () => {
    const upstream = await startUpstream();
    const oci = { name: "oci", url: upstream.url, limits: { apiRequests: 1 } };
    const config = testConfig([oci]);
    const memory = memoryStore();
    let down = false;
    const whileUp = <T>(read: () => Promise<T>) => (down ? Promise.reject(new Error("down")) : read());
    const store: UsageStore = {
      ...memory,
      totals: (...query) => whileUp(() => memory.totals(...query)),
      tallies: (...query) => whileUp(() => memory.tallies(...query)),
    };
    const { app, proxy } = await startApp(config, { store });
    const { key } = app.tracker.counter.period();
    await memory.merge([{ writer: "import", period: key, backend: "b2", usage: { apiRequests: 5 } }]);
    const b2 = { name: "b2", url: upstream.url, limits: { apiRequests: 5 } };
    const take = () => app.live.take(async () => ({ ...config, backends: [oci, b2] }));
    down = true;
    await expect(take()).rejects.toThrow("down");
    await expect(take()).rejects.toThrow("down");
    expect((await call(proxy, "/objects/1")).status).toBe(200);
    expect((await call(proxy, "/objects/1")).status).toBe(429);
    down = false;
    await take();
    expect((await call(proxy, "/objects/1")).status).toBe(429);
    expect(upstream.measured().apiRequests).toBe(1);
  });

  it("lets go of a backend that is removed, once its requests have ended wherever it was, and has all of it back", async () => {
    const [before, after] = [await startHeldUpstream(), await startHeldUpstream()];
    const oci = { name: "oci", url: before.url, limits: { apiRequests: 2 } };
    const config = testConfig([oci]);
    const { app, proxy } = await startApp(config);
    const names = () => app.router.upstreams.map(({ name }) => name);
    const running = call(proxy, "/");
    const held = await before.next();
    const moved = { ...config, backends: [{ ...oci, url: after.url }] };
    await app.live.take(async () => moved);
    await app.live.take(async () => ({ ...config, backends: [] }));
    // Of an answer without its length nothing is held any more once some of it has come.
    held.write("bef");
    await expect.poll(() => app.tracker.counter.totalAll("oci").egressBytes).toBe(3);
    await app.flusher.flush();
    expect(names()).toEqual(["oci"]);
    held.end("ore");
    await running;
    await expect.poll(() => app.router.upstreams[0]?.inFlight).toBe(0);
    // With another request counted, which is not stored yet, nothing is let go of either.
    app.tracker.record("oci", { egressBytes: 4 });
    await app.flusher.flush();
    expect([names(), app.tracker.counter.backends()]).toEqual([[], []]);
    expect(await app.store.history({})).toMatchObject([{ usage: { apiRequests: 1, egressBytes: 10 } }]);

    await app.live.take(async () => moved);
    const back = call(proxy, "/");
    (await after.next()).end("after");
    expect((await back).text).toBe("after");
    expect(app.tracker.counter.totalAll("oci")).toMatchObject({ apiRequests: 2, egressBytes: 15 });
    expect((await call(proxy, "/")).status).toBe(429);
  });

  it("lets go of nothing that a configuration which is just being taken over has again", async () => {
    const upstream = await startUpstream();
    const [oci, b2] = ["oci", "b2"].map((name) => ({ name, url: upstream.url, limits: {} })) as [
      BackendConfig,
      BackendConfig,
    ];
    const memory = memoryStore();
    const { promise: slowly, resolve: goOn } = Promise.withResolvers<void>();
    const tallies: UsageStore["tallies"] = async (period, names) => {
      if (names.includes("b2")) await slowly;
      return memory.tallies(period, names);
    };
    const config = testConfig([oci]);
    const { app, proxy } = await startApp(config, { store: { ...memory, tallies } });
    await app.live.take(async () => ({ ...config, backends: [] }));
    const taken = app.live.take(async () => ({ ...config, backends: [oci, b2] }));
    // So that it waits for the store.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await app.flusher.flush();
    goOn();
    await taken;
    expect((await call(proxy, "/objects/1")).status).toBe(200);
  });

  it("says nothing of a limit that a backend is removed with", async () => {
    const upstream = await startUpstream();
    const oci = { name: "oci", url: upstream.url, limits: { apiRequests: 1 } };
    const config = testConfig([oci]);
    const { app, proxy } = await startApp(config);
    const { log, lines } = recordedLog();
    const watch = new BackendWatch({ router: app.router, tracker: app.tracker, clock: systemClock, log });
    await call(proxy, "/objects/1");
    watch.look();
    await app.live.take(async () => ({ ...config, backends: [] }));
    watch.look();
    await app.flusher.flush();
    watch.look();
    expect(lines.map(({ event }) => event)).toEqual(["limit-reached", "drain"]);
  });

  it("has what was granted to a backend once in its limits, however often it is taken over after that backend is removed", async () => {
    const upstream = await startHeldUpstream();
    const [oci, b2] = ["oci", "b2"].map((name) => ({ name, url: upstream.url, limits: { apiRequests: 5 } })) as [
      BackendConfig,
      BackendConfig,
    ];
    const config = testConfig([oci, b2]);
    const { app, proxy } = await startApp(config);
    await app.tracker.grant("oci", { apiRequests: 3 }, { id: "one", reason: "an outage" });
    const running = call(proxy, "/objects/1");
    const held = await upstream.next();
    for (let i = 0; i < 3; i++) {
      await app.live.take(async () => ({
        ...config,
        backends: [b2],
        flush: { ...config.flush, intervalMs: 60_000 + i },
      }));
      expect(app.tracker.counter.limitsOf("oci")).toEqual({ apiRequests: 8 });
    }
    await app.live.take(async () => config);
    expect(app.tracker.counter.limitsOf("oci")).toEqual({ apiRequests: 8 });
    held.end("oci");
    await running;
  });

  it("drains a backend that is removed, keeps its counts, and resumes it when it is there again", async () => {
    const upstream = await startHeldUpstream();
    const [oci, b2] = ["oci", "b2"].map((name) => ({ name, url: upstream.url, limits: {} })) as [
      BackendConfig,
      BackendConfig,
    ];
    const config = testConfig([oci, b2]);
    const { app, proxy, admin } = await startApp(config);
    const running = call(proxy, "/");
    const held = await upstream.next();
    const change = await app.live.take(async () => ({ ...config, backends: [b2] }));
    expect(change.removed).toEqual(["oci"]);
    const second = call(proxy, "/");
    (await upstream.next()).end("b2");
    expect((await second).text).toBe("b2");
    held.end("oci");
    expect((await running).text).toBe("oci");
    const { backends } = await usage(admin);
    expect(backends).toMatchObject([
      { name: "b2", draining: false, usage: { apiRequests: 1, egressBytes: 2 } },
      { name: "oci", draining: true, usage: { apiRequests: 1, egressBytes: 3 } },
    ]);
    await app.flusher.flush();
    await app.live.take(async () => config);
    const third = call(proxy, "/");
    (await upstream.next()).end("oci");
    expect((await third).text).toBe("oci");
    expect((await usage(admin)).backends).toMatchObject([
      { name: "oci", draining: false, usage: { apiRequests: 2, egressBytes: 6 } },
      { name: "b2" },
    ]);
  });

  it("keeps to the size of heads, for backends that were there and for new ones", async () => {
    const upstream = await startHeldUpstream();
    const [oci, b2] = ["oci", "b2"].map((name) => ({ name, url: upstream.url, limits: {} })) as [
      BackendConfig,
      BackendConfig,
    ];
    const config = testConfig([oci], { heads: { requestBytes: 4_000, responseBytes: 2_000 } });
    const { app, proxy } = await startApp(config);
    const ask = async (asked: number, answered: number): Promise<number> => {
      const running = call(proxy, "/", { headers: { "x-asked": "x".repeat(asked) } });
      if (asked < 4_000) (await upstream.next()).setHeader("x-answered", "y".repeat(answered)).end();
      return (await running).status;
    };
    const check = async () =>
      expect([await ask(3_000, 1_500), await ask(0, 2_500), await ask(5_000, 0)]).toEqual([200, 502, 431]);
    await check();
    await app.live.take(async () => ({ ...config, backends: [b2] }));
    await check();
    await app.live.take(async () => ({ ...config, backends: [{ ...b2, host: "preserve" }] }));
    await check();
  });

  it("forgets the trouble of a backend that is gone from it", async () => {
    const upstream = await startUpstream();
    const well = { name: "well", url: upstream.url, limits: {} };
    const gone = { name: "gone", url: new URL("http://127.0.0.1:1"), limits: {} };
    const { app, proxy } = await startApp(testConfig([gone, well]));
    expect((await call(proxy, "/")).status).toBe(200);
    const report = () => app.router.upstreams.find(({ name }) => name === "gone");
    expect(report()).toMatchObject({ trouble: { code: "ECONNREFUSED" }, draining: false });
    await app.live.take(async () => testConfig([well]));
    expect(report()).toMatchObject({ trouble: undefined, draining: true });
  });

  it("goes on draining what an operator drains", async () => {
    const upstream = await startUpstream();
    const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }]);
    const { app, proxy, admin } = await startApp(config);
    await call(admin, "/api/backends/oci/drain", { method: "POST" });
    await app.live.take(async () => config);
    expect((await call(proxy, "/objects/1")).status).toBe(503);
  });

  it("moves a backend to another address, and counts what is under way at both against one limit", async () => {
    const [before, after] = [await startHeldUpstream(), await startHeldUpstream()];
    const oci = { name: "oci", url: before.url, limits: { apiRequests: 2 } };
    const config = testConfig([oci]);
    const { app, proxy } = await startApp(config);
    const running = call(proxy, "/");
    const held = await before.next();
    await app.live.take(async () => ({ ...config, backends: [{ ...oci, url: after.url }] }));
    const moved = call(proxy, "/");
    (await after.next()).end("after");
    expect((await moved).text).toBe("after");
    expect((await call(proxy, "/")).status).toBe(429);
    held.end("before");
    expect((await running).text).toBe("before");
    expect(app.tracker.counter.totalAll("oci")).toMatchObject({ apiRequests: 2, egressBytes: 11 });
  });

  it("changes the Host that a backend gets, which is another address", async () => {
    const upstream = await startHeldUpstream();
    const oci = { name: "oci", url: upstream.url, limits: { apiRequests: 3 } };
    const config = testConfig([oci]);
    const { app, proxy } = await startApp(config);
    const hostOf = async (): Promise<string | undefined> => {
      const reply = call(proxy, "/", { headers: { host: "asked.example" } });
      const held = await upstream.next();
      held.end();
      await reply;
      return held.req.headers.host;
    };
    expect(await hostOf()).toBe(upstream.url.host);
    const preserved = await app.live.take(async () => ({ ...config, backends: [{ ...oci, host: "preserve" }] }));
    expect(preserved.changed).toEqual(["oci"]);
    expect(await hostOf()).toBe("asked.example");
    const same = await app.live.take(async () => ({ ...config, backends: [{ ...oci, host: "preserve" }] }));
    expect(same.changed).toEqual([]);
    const back = await app.live.take(async () => ({ ...config, backends: [{ ...oci, host: "upstream" }] }));
    expect(back.changed).toEqual(["oci"]);
    expect(await hostOf()).toBe(upstream.url.host);
    expect(app.tracker.counter.totalAll("oci").apiRequests).toBe(3);
    expect((await call(proxy, "/")).status).toBe(429);
  });

  it("says what needs a restart, and takes over the rest", async () => {
    const upstream = await startUpstream();
    const config = testConfig([{ name: "oci", url: upstream.url, limits: {} }]);
    const { app, admin } = await startApp(config);
    const change = await app.live.take(async () => ({
      ...config,
      listen: { host: "127.0.0.1", port: 1 },
      routing: "spread",
    }));
    expect([change.needRestart, change.sections]).toEqual([["listen"], ["routing"]]);
    expect((await usage(admin)).config).toMatchObject({ error: null, needRestart: ["listen"] });
  });

  it("says that the first tokens of a backend need a restart, and of a further one do not", async () => {
    const upstream = await startUpstream();
    const llm = { name: "llm", url: upstream.url, limits: {} };
    const asking: BackendConfig = { ...llm, tokens: "openai" };
    const further: BackendConfig = { ...llm, name: "further", tokens: "anthropic" };
    const config = testConfig([llm]);
    const { app, admin } = await startApp(config);
    const first = await app.live.take(async () => ({ ...config, backends: [asking] }));
    expect([first.changed, first.needRestart]).toEqual([["llm"], ["backends[].tokens"]]);
    expect((await usage(admin)).config.needRestart).toEqual(["backends[].tokens"]);
    expect((await app.live.take(async () => config)).needRestart).toEqual([]);
    const counted = testConfig([asking]);
    const counting = await startApp(counted);
    const more = await counting.app.live.take(async () => ({ ...counted, backends: [asking, further] }));
    expect([more.added, more.needRestart]).toEqual([["further"], []]);
  });

  it("is taken over 100 times under load without a failed request or a lost count", async () => {
    const [one, two] = [await startUpstream(), await startUpstream()];
    const [oci, b2] = [
      { name: "oci", url: one.url, limits: {} },
      { name: "b2", url: two.url, limits: {} },
    ];
    const config = testConfig([oci, b2]);
    const { app, proxy } = await startApp(config);
    let [sent, running] = [0, true];
    const load = async (): Promise<void> => {
      while (running) {
        sent += 1;
        const { status } = await call(proxy, "/objects/100");
        if (status !== 200) throw new Error(`a request was answered ${status}`);
      }
    };
    const loads = Promise.all([load(), load(), load(), load()]);
    const variants = [
      [oci],
      [b2],
      [b2, oci],
      [{ ...oci, url: two.url }, b2],
      [oci, { ...b2, limits: { apiRequests: 1e9 } }],
    ];
    for (let i = 0; i < 100; i++) {
      await app.live.take(async () => ({
        ...config,
        backends: variants[i % variants.length] ?? [],
        routing: i % 2 ? "pack" : "spread",
      }));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    running = false;
    await loads;
    const counted = ["oci", "b2"].map((name) => app.tracker.counter.totalAll(name));
    expect(counted.reduce((sum, { apiRequests }) => sum + apiRequests, 0)).toBe(sent);
    const measured = [one.measured(), two.measured()];
    for (const dimension of ["apiRequests", "egressBytes", "ingressBytes"] as const) {
      const sum = (usages: readonly Record<typeof dimension, number>[]) =>
        usages.reduce((all, one) => all + one[dimension], 0);
      expect(sum(counted)).toBe(sum(measured));
    }
  });
});

describe("the running proxy", () => {
  it("has from its file who is believed, whose pages may read, and which Host a backend gets", async () => {
    const upstream = await startHeldUpstream();
    const folder = tempFolder();
    const backend = `{ name: oci, url: "${upstream.url.href}", host: preserve, limits: { apiRequests: 1 } }`;
    const settings = `trustedProxies: [127.0.0.0/8]\ncors: { origins: ["https://app.example"] }`;
    writeConfig(folder, `${settings}\nbackends: [${backend}]`);
    const { child, proxy } = await startProxy(folder);
    const headers = { host: "asked.example", "x-forwarded-for": "203.0.113.9", origin: "https://app.example" };
    const reply = call(proxy, "/", { headers });
    const held = await upstream.next();
    held.end();
    expect((await reply).status).toBe(200);
    expect(held.req.headers).toMatchObject({ host: "asked.example", "x-forwarded-for": "203.0.113.9, 127.0.0.1" });
    const refused = await call(proxy, "/", { headers });
    expect([refused.status, refused.headers["access-control-allow-origin"]]).toEqual([429, "https://app.example"]);
    expect((await child.event("start")).config).toMatchObject({
      trustedProxies: ["127.0.0.0/8"],
      cors: { origins: ["https://app.example"], credentials: false },
      backends: [{ name: "oci", host: "preserve" }],
    });
  });

  it("takes over its file when that changes and on SIGHUP, and keeps what it has when the file is wrong", async () => {
    const upstream = await startUpstream();
    const folder = tempFolder();
    const write = (limit: string) =>
      writeConfig(folder, `backends: [{ name: oci, url: "${upstream.url.href}", limits: { apiRequests: ${limit} } }]`);
    write("1");
    const { child, proxy, admin } = await startProxy(folder);
    expect((await call(proxy, "/objects/1")).status).toBe(200);
    expect((await call(proxy, "/objects/1")).status).toBe(429);
    write("2");
    await child.line(
      /"event":"config",.*"changed":\["oci"\],.*"msg":"(the file changed): configuration taken over \(changed \\"oci\\"\)"/m,
    );
    expect((await call(proxy, "/objects/1")).status).toBe(200);
    write("many");
    child.signal("SIGHUP");
    await expect
      .poll(() => child.errors, { timeout: 10_000 })
      .toMatch(/"level":"warn",.*"event":"config-refused".* stays as it was: .*proxy\.yaml:3:/);
    expect((await usage(admin)).config.error).toContain("apiRequests");
    expect((await call(proxy, "/objects/1")).status).toBe(429);
    writeFileSync(join(folder, "proxy.yaml"), readFileSync(join(folder, "proxy.yaml"), "utf8").replace("many", "3"));
    child.signal("SIGHUP");
    await child.line(/"event":"config",.*"msg":"(SIGHUP): configuration taken over/m);
    expect((await usage(admin)).config.error).toBeNull();
    expect((await call(proxy, "/objects/1")).status).toBe(200);
  });
});
