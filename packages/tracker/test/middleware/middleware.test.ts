import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { LocalCounterBackend, memoryStore, type UsageStore, utcMinutes, utcMonths } from "@usage/counter-core";
import { ManualClock } from "@usage/counter-core/testing";
import { openUsage, UsageTracker, type UsageTrackerOptions, type WindowLimits } from "@usage/tracker";
import type { MeteredUsage, ResponseEnd } from "@usage/tracker/express";
import { Agent } from "undici";
import { describe, expect, it, onTestFinished } from "vitest";
import { FRAMEWORKS, HELLO, type NeutralOptions, PIECE, PIECES } from "./frameworks.ts";

const DIMENSIONS = ["apiRequests", "egressBytes"] as const;
type D = (typeof DIMENSIONS)[number];

const ACME = { headers: { "x-api-key": "acme" } };
const HELLO_BYTES = Buffer.byteLength(HELLO);
const LARGE = PIECE.byteLength * PIECES;

interface Given extends NeutralOptions {
  readonly limits?: UsageTrackerOptions<D>["limits"];
  readonly defaults?: UsageTrackerOptions<D>["defaults"];
  readonly store?: UsageStore<D>;
  readonly maxBackends?: number;
}

/** A request whose answer is not read yet. */
async function open(url: string): Promise<IncomingMessage> {
  const [answer] = (await once(get(url, { ...ACME, agent: false }), "response")) as [IncomingMessage];
  return answer;
}

describe.each(FRAMEWORKS)("the middleware for $name", ({ start }) => {
  async function serve({ limits, defaults, store, maxBackends, ...options }: Given = {}) {
    const counter = new LocalCounterBackend<D>([], {
      dimensions: DIMENSIONS,
      ...(maxBackends !== undefined && { maxBackends }),
    });
    const usage = new UsageTracker<D>(counter, {
      store: store ?? memoryStore({ dimensions: DIMENSIONS }),
      ...(limits && { limits }),
      ...(defaults && { defaults }),
      readTimeoutMs: 2_000,
    });
    const server = await start(usage as unknown as MeteredUsage<string>, options);
    onTestFinished(() => server.stop());
    const used = (backend = "acme") => usage.counter.totalAll(backend);
    const held = (backend = "acme") => usage.counter.heldAll(backend);
    /** Once what was held is free again. */
    const settled = async (backend = "acme") => {
      await expect.poll(() => held(backend)).toEqual({ apiRequests: 0, egressBytes: 0 });
      return used(backend);
    };
    return { ...server, usage, counter, used, held, settled };
  }

  it("counts a request of a tenant that nobody has named, and says on the answer what is left", async () => {
    const { url, used } = await serve({ defaults: { apiRequests: 3 } });
    const answer = await fetch(`${url}/hello`, ACME);
    expect([answer.status, await answer.text()]).toEqual([200, HELLO]);
    expect(answer.headers.get("ratelimit")).toMatch(/^"apiRequests";r=2;t=\d+$/);
    expect(answer.headers.get("ratelimit-policy")).toMatch(/^"apiRequests";q=3;qu="requests";w=\d+$/);
    expect(used()).toEqual({ apiRequests: 1, egressBytes: 0 });
  });

  it("refuses the request for which there is no room, before the handler, as problem+json", async () => {
    const { url, used, handled } = await serve({ defaults: { apiRequests: 1 } });
    await fetch(`${url}/hello`, ACME);
    const refused = await fetch(`${url}/hello`, ACME);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    expect(refused.headers.get("ratelimit")).toMatch(/^"apiRequests";r=0;t=\d+$/);
    expect(await refused.json()).toMatchObject({ status: 429, "violated-policies": ["apiRequests"] });
    expect(used().apiRequests).toBe(1);
    expect(handled()).toBe(1);
  });

  it("answers as onRefused does, with the headers, and tells it why", async () => {
    const { url, handled } = await serve({
      defaults: { apiRequests: 0 },
      refusedText: ({ status, decision }) => `${status} ${decision?.backend} ${decision?.reason}`,
    });
    const refused = await fetch(`${url}/hello`, ACME);
    expect([refused.status, await refused.text()]).toEqual([402, "429 acme limit"]);
    expect(refused.headers.get("ratelimit")).toMatch(/^"apiRequests";r=0/);
    expect(handled()).toBe(0);
  });

  it("takes the error that onRefused throws to the error handler", async () => {
    const fail = (): string => {
      throw new Error("no text");
    };
    const { url, errors } = await serve({ defaults: { apiRequests: 0 }, refusedText: fail });
    expect((await fetch(`${url}/hello`, ACME)).status).toBe(500);
    expect(errors).toMatchObject([{ message: "no text" }]);
    expect((await fetch(`${url}/hello`, ACME)).status).toBe(500); // the second one waits for nothing
  });

  it.each<[string, (path: string) => boolean | Promise<boolean>]>([
    ["at once", (path) => path === "/empty"],
    ["later", async (path) => path === "/empty"],
  ])("lets pass what skip says %s, without counting it and without headers", async (_, skips) => {
    const { url, used, handled } = await serve({ defaults: { apiRequests: 1 }, skip: ({ path }) => skips(path) });
    await fetch(`${url}/hello`, ACME);
    const skipped = await fetch(`${url}/empty`, ACME);
    expect([skipped.status, skipped.headers.has("ratelimit")]).toEqual([204, false]);
    expect((await fetch(`${url}/hello`, ACME)).status).toBe(429);
    expect(used().apiRequests).toBe(1);
    expect(handled()).toBe(2);
  });

  it.each<[string, NeutralOptions["key"]]>([
    ["undefined", () => undefined],
    ["null", () => null],
    ["an empty name", () => ""],
    ["undefined, later", async () => undefined],
    ["what cannot be a name", () => "x".repeat(257)],
  ])("refuses with 403 whom nobody can be charged for: the key is %s", async (_, key) => {
    const { url, counter, handled } = await serve({ ...(key && { key }) });
    const refused = await fetch(`${url}/hello`);
    expect(refused.status).toBe(403);
    expect(refused.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    expect(await refused.json()).toMatchObject({ type: "about:blank", status: 403, error: { code: "no_key" } });
    expect(counter.backends()).toEqual([]);
    expect(handled()).toBe(0);
  });

  it.each<[string, NeutralOptions, string]>([
    ["a key that throws", { key: () => fail("no such session") }, "no such session"],
    ["a key that rejects", { key: async () => fail("no such session") }, "no such session"],
    [
      "a key that is no name",
      { key: () => 42 as never },
      "key must return a name or nothing, got a value of type number",
    ],
    ["a cost that throws", { cost: () => fail("no price") }, "no price"],
    [
      "a cost that is none",
      { cost: () => undefined as never },
      "cost must return an object with an amount per dimension",
    ],
    ["a cost with a wrong amount", { cost: () => ({ apiRequests: -1 }) }, "apiRequests"],
    ["a cost with a wrong dimension", { cost: () => ({ apiReqests: 1 }) }, "apiReqests"],
    ["a plan that throws", { plan: () => fail("no plans") }, "no plans"],
    ["a plan that rejects", { plan: async () => fail("no plans") }, "no plans"],
    ["a plan with a wrong amount", { plan: () => ({ apiRequests: 0.5 }) }, "apiRequests"],
    ["a plan that is none", { plan: () => "pro" as never }, "limits"],
    ["a skip that throws", { skip: () => fail("no path") }, "no path"],
  ])("takes the error of %s to the error handler, and counts nothing", async (_, options, message) => {
    const { url, counter, errors, handled } = await serve(options);
    for (let i = 0; i < 2; i++) expect((await fetch(`${url}/hello`, ACME)).status).toBe(500);
    expect(errors).toMatchObject(Array(2).fill({ message: expect.stringContaining(message) }));
    for (const name of counter.backends()) expect(counter.totalAll(name).apiRequests).toBe(0);
    expect(handled()).toBe(0);
  });

  it("gives the default limits to a tenant of whom the plans know nothing, and admits nobody where they fail", async () => {
    const limits = (tenant: string) => {
      if (tenant === "broken") throw new Error("no plan");
      return tenant === "pro" ? { apiRequests: 2 } : undefined;
    };
    const { url, errors, handled } = await serve({ limits, defaults: { apiRequests: 0 } });
    const statusOf = async (key: string) => (await fetch(`${url}/hello`, { headers: { "x-api-key": key } })).status;
    expect(await statusOf("pro")).toBe(200);
    expect(await statusOf("unknown")).toBe(429);
    expect(await statusOf("broken")).toBe(500);
    expect(errors).toMatchObject([{ message: "no plan" }]);
    expect(handled()).toBe(1);
  });

  it("takes a tenant's plan from the request, also another one than before, and the default one where it says none", async () => {
    const plans: Record<string, Record<string, number>> = { free: { apiRequests: 1 }, pro: { apiRequests: 3 } };
    const { url, usage, used } = await serve({
      defaults: { apiRequests: 0 },
      plan: async ({ header }) => plans[header("x-plan") ?? ""],
    });
    const ask = async (key: string, plan?: string) => {
      const headers = { "x-api-key": key, ...(plan !== undefined && { "x-plan": plan }) };
      const answer = await fetch(`${url}/hello`, { headers });
      return [answer.status, answer.headers.get("ratelimit")?.match(/r=(\d+)/)?.[1]];
    };
    expect(await ask("acme", "free")).toEqual([200, "0"]);
    expect(await ask("acme", "free")).toEqual([429, "0"]);
    expect(await ask("acme", "pro")).toEqual([200, "1"]);
    expect(await ask("other", "pro")).toEqual([200, "2"]);
    expect(await ask("acme", "unknown")).toEqual([429, "0"]);
    expect(await ask("acme")).toEqual([429, "0"]);
    expect(used().apiRequests).toBe(2);
    // What somebody set by hand stays, until the request says something else than before.
    usage.setLimits("other", { apiRequests: 100 });
    expect(await ask("other", "pro")).toEqual([200, "98"]);
    expect(await ask("other", "free")).toEqual([429, "0"]);
  });

  it("refuses with 403 what cannot be a name, whatever its plan", async () => {
    const { url, handled } = await serve({ key: () => "x".repeat(257), plan: () => ({ apiRequests: 1 }) });
    expect((await fetch(`${url}/hello`)).status).toBe(403);
    expect(handled()).toBe(0);
  });

  it("refuses with 503 while it cannot be read what a tenant has used, and takes its next request", async () => {
    const inner = memoryStore({ dimensions: DIMENSIONS });
    let isAway = true;
    const store: UsageStore<D> = {
      ...inner,
      tallies: async (...args) => {
        if (isAway) throw new Error("connection refused");
        return inner.tallies(...args);
      },
    };
    const { url, used, handled } = await serve({ store, defaults: { apiRequests: 1 } });
    const refused = await fetch(`${url}/hello`, ACME);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    const body = await refused.text();
    expect(JSON.parse(body)).toMatchObject({ status: 503, error: { code: "usage_unknown" } });
    expect(body).not.toMatch(/acme|connection/);
    expect(handled()).toBe(0);
    isAway = false;
    expect((await fetch(`${url}/hello`, ACME)).status).toBe(200);
    expect(used().apiRequests).toBe(1);
  });

  it("refuses with 503 the tenant that is one too many, and only that one", async () => {
    const { url, used } = await serve({ maxBackends: 1 });
    expect((await fetch(`${url}/hello`, ACME)).status).toBe(200);
    expect((await fetch(`${url}/hello`, { headers: { "x-api-key": "globex" } })).status).toBe(503);
    expect((await fetch(`${url}/hello`, ACME)).status).toBe(200);
    expect(used().apiRequests).toBe(2);
  });

  it("holds what cost says, and counts what settle says when the answer has ended", async () => {
    const ends: [number, ResponseEnd][] = [];
    const { url, settled } = await serve({
      cost: ({ header }) => ({ apiRequests: Number(header("x-size")) }),
      settle: (status, end) => {
        ends.push([status, end]);
        return { apiRequests: 2 };
      },
      defaults: { apiRequests: 10 },
    });
    const headers = { "x-api-key": "acme", "x-size": "8" };
    const answer = await fetch(`${url}/hello`, { headers });
    expect(answer.headers.get("ratelimit")).toMatch(/^"apiRequests";r=2;/);
    await answer.text();
    expect(await settled()).toEqual({ apiRequests: 2, egressBytes: 0 });
    expect(ends).toEqual([[200, { bytes: HELLO_BYTES, isComplete: true }]]);
    expect((await fetch(`${url}/hello`, { headers: { ...headers, "x-size": "9" } })).status).toBe(429);
  });

  it("counts the cost where settle returns nothing, and takes a promise of either", async () => {
    const { url, settled } = await serve({ cost: async () => ({ apiRequests: 3 }), settle: async () => undefined });
    await (await fetch(`${url}/hello`, ACME)).text();
    expect(await settled()).toEqual({ apiRequests: 3, egressBytes: 0 });
  });

  it.each<[string, NeutralOptions["settle"], string]>([
    ["throws", () => fail("no usage in it"), "no usage in it"],
    ["rejects", async () => fail("no usage in it"), "no usage in it"],
    ["returns a wrong amount", () => ({ apiRequests: 0.5 }), "apiRequests"],
    ["returns bytes that are none", () => ({ egressBytes: -1 }), "egressBytes"],
    ["returns no amounts", () => 5 as never, "settle must return an object"],
  ])("counts the cost, and says so, where settle %s", async (_, settle, message) => {
    const told: unknown[] = [];
    const { url, settled } = await serve({
      cost: () => ({ apiRequests: 3 }),
      ...(settle && { settle }),
      responseBytes: "egressBytes",
      onError: (error) => told.push(error),
    });
    await (await fetch(`${url}/hello`, ACME)).text();
    expect(await settled()).toEqual({ apiRequests: 3, egressBytes: HELLO_BYTES });
    expect(told).toMatchObject([{ message: expect.stringContaining(message) }]);
  });

  it("warns of what settle throws where nobody hears it", async () => {
    const warned = once(process, "warning");
    const { url } = await serve({ settle: () => fail("no usage in it") });
    await (await fetch(`${url}/hello`, ACME)).text();
    const [warning] = await warned;
    expect(warning).toMatchObject({ code: "USAGE_SETTLE", message: expect.stringContaining("no usage in it") });
  });

  it("counts the bytes of answers, none where no body goes out, and refuses whose bytes are used up", async () => {
    const { url, settled } = await serve({
      responseBytes: "egressBytes",
      defaults: { egressBytes: HELLO_BYTES + LARGE },
    });
    await fetch(`${url}/hello`, { ...ACME, method: "HEAD" });
    await fetch(`${url}/empty`, ACME);
    expect(await settled()).toEqual({ apiRequests: 2, egressBytes: 0 });
    await (await fetch(`${url}/hello`, ACME)).text();
    expect(await settled()).toEqual({ apiRequests: 3, egressBytes: HELLO_BYTES });
    const large = await fetch(`${url}/large`, ACME);
    expect((await large.arrayBuffer()).byteLength).toBe(LARGE);
    expect(await settled()).toEqual({ apiRequests: 4, egressBytes: HELLO_BYTES + LARGE });
    const refused = await fetch(`${url}/hello`, ACME); // not one byte is left
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({ "violated-policies": ["egressBytes"] });
  });

  it("counts bytes while they go out: others know of them before the answer has ended", async () => {
    const { url, used, held } = await serve({ responseBytes: "egressBytes", defaults: { egressBytes: 1_000 } });
    const answer = await open(`${url}/silent`);
    await expect.poll(() => used()).toEqual({ apiRequests: 0, egressBytes: PIECE.byteLength });
    expect(held()).toEqual({ apiRequests: 1, egressBytes: 0 });
    expect((await fetch(`${url}/hello`, ACME)).status).toBe(429);
    answer.destroy();
  });

  it.each<[string, number, number]>([
    ["less than went out", 1, HELLO_BYTES],
    ["what went out", HELLO_BYTES, HELLO_BYTES],
    ["more than that", 1_000, 1_000],
  ])("counts bytes once where settle tells them, too: %s", async (_, told, counted) => {
    const { url, settled } = await serve({
      responseBytes: "egressBytes",
      settle: () => ({ apiRequests: 1, egressBytes: told }),
    });
    await (await fetch(`${url}/hello`, ACME)).text();
    expect(await settled()).toEqual({ apiRequests: 1, egressBytes: counted });
  });

  it("charges a request whose handler throws, and lets settle see that", async () => {
    const statuses: number[] = [];
    const plain = await serve({ defaults: { apiRequests: 5 } });
    const failed = await fetch(`${plain.url}/throws`, ACME);
    expect([failed.status, failed.headers.get("ratelimit")?.slice(0, 17)]).toEqual([500, `"apiRequests";r=4`]);
    expect(plain.used().apiRequests).toBe(1);

    const settling = await serve({
      settle: (status) => {
        statuses.push(status);
        return status >= 500 ? {} : undefined;
      },
    });
    await (await fetch(`${settling.url}/throws`, ACME)).text();
    expect(await settling.settled()).toEqual({ apiRequests: 0, egressBytes: 0 });
    await (await fetch(`${settling.url}/hello`, ACME)).text();
    expect(await settling.settled()).toEqual({ apiRequests: 1, egressBytes: 0 });
    expect(statuses).toEqual([500, 200]);
  });

  it("charges what went out to a client that leaves in the middle, and says that it was not all", async () => {
    const ends: ResponseEnd[] = [];
    const { url, settled } = await serve({
      responseBytes: "egressBytes",
      settle: (_status, end) => void ends.push(end) as undefined,
    });
    const answer = await open(`${url}/large`);
    await once(answer, "readable");
    answer.destroy();
    await expect.poll(() => ends).toHaveLength(1);
    const { apiRequests, egressBytes } = await settled();
    expect(apiRequests).toBe(1);
    expect(egressBytes).toBeGreaterThan(0);
    expect(egressBytes).toBeLessThan(LARGE);
    expect(ends).toEqual([{ bytes: egressBytes, isComplete: false }]);
  });

  it("ends for a client that leaves while the handler says nothing, and for a handler that breaks off", async () => {
    const ends: ResponseEnd[] = [];
    const { url, settled } = await serve({
      responseBytes: "egressBytes",
      settle: (_status, end) => void ends.push(end) as undefined,
    });
    const silent = await open(`${url}/silent`);
    await once(silent, "readable");
    silent.destroy();
    await expect.poll(() => ends).toEqual([{ bytes: PIECE.byteLength, isComplete: false }]);
    const broken = await open(`${url}/breaks`);
    await expect(broken.toArray()).rejects.toThrow("aborted");
    await expect.poll(() => ends[1]).toEqual({ bytes: PIECE.byteLength, isComplete: false });
    expect(await settled()).toEqual({ apiRequests: 2, egressBytes: 2 * PIECE.byteLength });
  });

  it("charges nothing to a client that leaves before it was admitted, and runs no handler", async () => {
    const asked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<string>();
    const { url, settled, handled, usage } = await serve({
      key: () => {
        asked.resolve();
        return answered.promise;
      },
      responseBytes: "egressBytes",
    });
    const request = get(`${url}/hello`, { agent: false }).on("error", () => {});
    await asked.promise;
    request.destroy();
    await new Promise((resolve) => setTimeout(resolve, 100)); // for the server to notice
    answered.resolve("acme");
    await expect.poll(() => usage.counter.has("acme")).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await settled()).toEqual({ apiRequests: 0, egressBytes: 0 });
    expect(handled()).toBe(0);
  });

  it("waits for what others hold, as long as it may", async () => {
    const { url, usage, used } = await serve({ waitMs: 60_000, defaults: { apiRequests: 1 } });
    await usage.ensure("acme");
    const hold = usage.tryReserve("acme", { apiRequests: 1 });
    const answer = fetch(`${url}/hello`, ACME);
    await new Promise((resolve) => setTimeout(resolve, 50));
    hold?.void();
    expect((await answer).status).toBe(200);
    expect(used().apiRequests).toBe(1);
    expect((await fetch(`${url}/hello`, ACME)).status).toBe(429); // used up: waiting would not help
  });

  it("keeps nothing for a client that leaves while it waits", async () => {
    const { url, usage, settled, handled } = await serve({ waitMs: 60_000, defaults: { apiRequests: 1 } });
    await usage.ensure("acme");
    const hold = usage.tryReserve("acme", { apiRequests: 1 });
    const request = get(`${url}/hello`, { ...ACME, agent: false }).on("error", () => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    request.destroy();
    await new Promise((resolve) => setTimeout(resolve, 100)); // for the server to notice
    hold?.void();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await settled()).toEqual({ apiRequests: 0, egressBytes: 0 });
    expect(handled()).toBe(0);
  });

  it("counts what an answer used whose hold has expired and whose tenant was let go", async () => {
    const { url, usage, used } = await serve({ responseBytes: "egressBytes", ttlMs: 1 });
    const answer = await open(`${url}/silent`);
    await once(answer, "readable");
    const expired = Promise.withResolvers<void>();
    using _ = usage.counter.onHoldExpired(() => expired.resolve());
    await expired.promise;
    await usage.flush();
    expect(usage.release("acme")).toBe(true);
    answer.destroy();
    await expect.poll(() => usage.counter.has("acme")).toBe(true);
    await expect.poll(() => used()).toEqual({ apiRequests: 1, egressBytes: PIECE.byteLength });
  });

  it("takes usage with several windows: the one that is used up refuses, and is named", async () => {
    const usage = await openUsage({
      windows: { month: utcMonths, minute: utcMinutes },
      counter: (periods) => new LocalCounterBackend<D>([], { dimensions: DIMENSIONS, periods }),
      store: memoryStore({ dimensions: DIMENSIONS }),
      limits: () => ({ month: { apiRequests: 100 }, minute: { apiRequests: 2 } }),
      clock: new ManualClock("2026-01-31T23:59:00Z"),
    });
    const counted: MeteredUsage<D, WindowLimits<D, "month" | "minute">> = usage;
    const { url, stop } = await start(counted as unknown as MeteredUsage<string>, { responseBytes: "egressBytes" });
    onTestFinished(async () => {
      await stop();
      await usage.close();
    });
    for (let i = 0; i < 2; i++) await (await fetch(`${url}/hello`, ACME)).text();
    const refused = await fetch(`${url}/hello`, ACME);
    expect(refused.status).toBe(429);
    expect(refused.headers.get("ratelimit")).toMatch(/"month:apiRequests";r=98;.*"minute:apiRequests";r=0;/);
    await expect
      .poll(() => usage.tracker("month", "acme").counter.totalAll("acme"))
      .toEqual({
        apiRequests: 2,
        egressBytes: 2 * HELLO_BYTES,
      });
  });

  it("takes 10,000 tenants that appear by themselves, and counts each request once", async () => {
    const { url, usage } = await serve({ defaults: { apiRequests: 1 }, responseBytes: "egressBytes" });
    const dispatcher = new Agent({ connections: 64, pipelining: 1 });
    onTestFinished(() => dispatcher.close());
    const tenants = Array.from({ length: 10_000 }, (_, i) => `tenant-${i}`);
    const statuses = new Map<number, number>();
    const ask = async (tenant: string): Promise<void> => {
      const { statusCode, body } = await dispatcher.request({
        origin: url,
        path: "/hello",
        method: "GET",
        headers: { "x-api-key": tenant },
      });
      await body.dump();
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
    };
    await Promise.all(tenants.map(ask));
    await Promise.all(tenants.slice(0, 100).map(ask)); // for whom there is no room any more
    expect(Object.fromEntries(statuses)).toEqual({ 200: 10_000, 429: 100 });
    await usage.flush();
    const stored = await usage.store.history({});
    expect(stored).toHaveLength(10_000);
    const isRight = (row: (typeof stored)[number]): boolean =>
      row.usage.apiRequests === 1 && row.usage.egressBytes === HELLO_BYTES;
    expect(stored.filter((row) => !isRight(row))).toEqual([]);
  });
});

function fail(message: string): never {
  throw new Error(message);
}
