import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { startPostgres, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Address } from "../src/config/address.ts";
import { startApp } from "./support/app.ts";
import { call } from "./support/call.ts";
import { scrape } from "./support/metrics.ts";
import { startProxy, writeConfig } from "./support/running-proxy.ts";
import { report, type Servers, SOON, share, startTraffic } from "./support/shared-proxies.ts";
import { tempFolder } from "./support/temp-folder.ts";

/** An upstream that answers so many bytes in pieces, without their number. */
async function startPieces(bytes: number): Promise<{ readonly url: URL }> {
  const piece = Buffer.alloc(10_000);
  const server = createServer(async (incoming, response) => {
    incoming.resume();
    for (let sent = 0; sent < bytes && !response.destroyed; sent += piece.length) {
      if (!response.write(piece)) await Promise.race([once(response, "drain"), once(response, "close")]);
    }
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`) };
}

/** What a client got of a body, and whether that is all of it. */
async function download({ host, port }: Address) {
  const [response] = (await once(request({ host, port, agent: false }).end(), "response")) as [IncomingMessage];
  let bytes = 0;
  try {
    for await (const chunk of response) bytes += (chunk as Buffer).length;
  } catch {
    // It was broken off.
  }
  return { status: response.statusCode, bytes: response.statusCode === 200 ? bytes : 0, isWhole: response.complete };
}

/** Sends so many bytes without telling their number. */
async function upload({ host, port }: Address, bytes: number): Promise<number | undefined> {
  const outgoing = request({ host, port, method: "PUT", agent: false });
  outgoing.on("error", () => {});
  const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
  for (let sent = 0; sent < bytes && !outgoing.destroyed; sent += 10_000) {
    outgoing.write(Buffer.alloc(10_000));
    await new Promise(setImmediate);
  }
  outgoing.end();
  const [response] = await answered;
  response.resume();
  return response.statusCode;
}

/** Announces an upload of so many bytes, and sends one. */
async function begin({ host, port }: Address, bytes: number): Promise<Socket> {
  const socket = connect(port, host);
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(`PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\nx`);
  return socket;
}

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

const LIMIT = 200;

interface Ask {
  readonly path?: string;
  readonly body?: Buffer;
}

/** Asks until a limit is used up for good. Returns the statuses of all other answers. */
async function askUntilRefused(proxy: Address, { path = "/objects/1", body }: Ask = {}): Promise<number[]> {
  const statuses: number[] = [];
  for (;;) {
    const { status, headers } = await call(proxy, path, body && { method: "PUT", body });
    if (status === 429 && headers["x-should-retry"] === "false") return statuses;
    statuses.push(status);
  }
}

describe("two proxies with exact limits", () => {
  it("let exactly as many requests through as the limit allows, and refuse none before", async () => {
    const { config, upstream } = await share(servers, { apiRequests: LIMIT, enforcement: "exact", waitMs: 20_000 });
    const [one, other] = [await startApp(config), await startApp(config)];
    const clients = [one, one, one, one, one, one, other, other].map(({ proxy }) => askUntilRefused(proxy));
    const statuses = (await Promise.all(clients)).flat();
    expect(upstream.measured().apiRequests).toBe(LIMIT);
    expect(statuses).toEqual(Array(LIMIT).fill(200));
    for (const { admin } of [one, other]) {
      await vi.waitFor(async () => {
        const { backend } = await report(admin);
        expect(backend).toMatchObject({
          usage: { apiRequests: LIMIT },
          held: { apiRequests: 0 },
          excess: { apiRequests: 0 },
        });
      }, SOON);
    }
  });

  it("take limits over that are changed by API under load: lowered, not passed from then on; raised, used to the last unit", {
    timeout: 60_000,
  }, async () => {
    const { config, upstream, name } = await share(servers, {
      apiRequests: 100_000,
      enforcement: "exact",
      waitMs: 20_000,
    });
    const [one, other] = [await startApp(config), await startApp(config)];
    const put = ({ admin }: { readonly admin: Address }, apiRequests: number, headers = {}) =>
      call(admin, `/api/backends/${name}/limits`, {
        method: "PUT",
        headers,
        body: JSON.stringify({ limits: { apiRequests } }),
      });
    /** Lets both work with a limit: who is refused for not having seen a change takes it over at once. */
    const putAtBoth = async (apiRequests: number): Promise<void> => {
      expect((await put(one, apiRequests)).status).toBe(200);
      expect((await put(other, 1, { "if-match": '"0"' })).json).toMatchObject({ status: 412, value: { apiRequests } });
    };
    const used = (): number => upstream.measured().apiRequests;
    const takeAll = () => Promise.all([one, other, one, other].map(({ proxy }) => askUntilRefused(proxy)));
    const load = [one, other].map(({ proxy }) => startTraffic(proxy, 100));
    await vi.waitFor(() => expect(used()).toBeGreaterThan(50), SOON);
    // Below what is used, and the other one hears of it by itself.
    expect((await put(one, 30)).status).toBe(200);
    await vi.waitFor(async () => expect((await report(other.admin)).backend.limits.apiRequests).toBe(30), SOON);
    await takeAll();
    const before = used();
    await takeAll();
    expect(used()).toBe(before);
    await putAtBoth(100_000);
    await vi.waitFor(() => expect(used()).toBeGreaterThan(before + 50), SOON);
    for (const apiRequests of [1_000, 1_200]) {
      await putAtBoth(apiRequests);
      await takeAll();
      expect(used()).toBe(apiRequests);
    }
    for (const traffic of load) await traffic.stop();
    expect(used()).toBe(1_200);
  });

  it("take uploads of announced length to the last byte of a limit", async () => {
    const { config, upstream } = await share(servers, { ingressBytes: 50_000, enforcement: "exact" });
    const proxies = [await startApp(config), await startApp(config)];
    const body = Buffer.alloc(250);
    await Promise.all([...proxies, ...proxies].map(({ proxy }) => askUntilRefused(proxy, { body })));
    expect(upstream.measured().ingressBytes).toBe(50_000);
  });

  it("hand out no byte more than the limit, and nearly all of them, in bodies whose length nobody knows", {
    timeout: 120_000,
  }, async () => {
    const limit = 20_000_000;
    const upstream = await startPieces(500_000);
    const { config } = await share(servers, { egressBytes: limit, enforcement: "exact", waitMs: 20_000 }, upstream.url);
    const proxies = [await startApp(config), await startApp(config)];
    const clients = Array.from({ length: 20 }, async (_, at) => {
      let bytes = 0;
      for (;;) {
        const got = await download((at < 15 ? proxies[0] : proxies[1])?.proxy ?? expect.unreachable());
        if (got.status === 429) return bytes;
        bytes += got.bytes;
        // What has no room never seems to be whole.
        expect(got.isWhole).toBe(got.bytes === 500_000);
      }
    });
    const got = (await Promise.all(clients)).reduce((sum, bytes) => sum + bytes, 0);
    expect(got).toBeLessThanOrEqual(limit);
    expect(got).toBeGreaterThan(0.99 * limit);
    const excess = (await Promise.all(proxies.map(({ admin }) => report(admin)))).map(({ backend }) => backend.excess);
    await vi.waitFor(async () => {
      const { backend } = await report(proxies[0]?.admin ?? expect.unreachable());
      // All that the backend sent is counted; what nobody was handed is said to be too much.
      expect(backend.usage.egressBytes).toBeGreaterThanOrEqual(got);
      const known = excess.reduce((sum, { egressBytes }) => sum + egressBytes, 0);
      expect(backend.usage.egressBytes - known).toBeLessThanOrEqual(limit);
    }, SOON);
  });

  it("send on no byte more than the limit of uploads whose length nobody knows, and nearly all of them", {
    timeout: 120_000,
  }, async () => {
    const limit = 10_000_000;
    const { config, upstream } = await share(servers, { ingressBytes: limit, enforcement: "exact", waitMs: 20_000 });
    const proxies = [await startApp(config), await startApp(config)];
    const clients = Array.from({ length: 8 }, async (_, at) => {
      while ((await upload((at < 6 ? proxies[0] : proxies[1])?.proxy ?? expect.unreachable(), 400_000)) === 200);
    });
    await Promise.all(clients);
    expect(upstream.measured().ingressBytes).toBeLessThanOrEqual(limit);
    expect(upstream.measured().ingressBytes).toBeGreaterThan(0.98 * limit);
  });

  it("pass no limit when one of them is killed with uploads under way, and what it held has a number", {
    timeout: 60_000,
  }, async () => {
    const { config, upstream, name, prefix } = await share(servers, { ingressBytes: 100_000, enforcement: "exact" });
    const folder = tempFolder();
    const limits = "limits: { ingressBytes: 100000 }";
    writeConfig(
      folder,
      `counter: { kind: redis, url: "${servers.redis.url}", prefix: ${prefix}, enforcement: exact }
store: { kind: postgres, url: "${servers.postgres.url}" }
backends: [{ name: ${name}, url: "${upstream.url.href}", ${limits} }]`,
    );
    const doomed = await startProxy(folder);
    const { proxy, admin } = await startApp(config);
    const uploads = await Promise.all(Array.from({ length: 4 }, () => begin(doomed.proxy, 10_000)));
    await vi.waitFor(async () => {
      expect((await report(admin)).backend.held.ingressBytes).toBeGreaterThanOrEqual(40_000 - 4);
    }, SOON);
    doomed.child.signal("SIGKILL");
    await doomed.child.exit();
    for (const socket of uploads) socket.destroy();
    const body = Buffer.alloc(500);
    const statuses: number[] = [];
    const isRefused = (status: number) => status !== 200;
    while (statuses.filter(isRefused).length < 2) {
      statuses.push((await call(proxy, "/objects/1", { method: "PUT", body })).status);
    }
    const stored = 500 * statuses.filter((status) => status === 200).length;
    const { usage, held, excess } = (await report(admin)).backend;
    expect(stored).toBeGreaterThan(40_000);
    expect(usage.ingressBytes + held.ingressBytes).toBeLessThanOrEqual(100_000);
    // All that is missing is held, by who is dead.
    expect(usage.ingressBytes + held.ingressBytes).toBeGreaterThan(100_000 - 500);
    expect(held.ingressBytes).toBeGreaterThanOrEqual(40_000 - 4);
    expect(excess.ingressBytes).toBe(0);
  });

  it("admit what was granted while they are cut off, then refuse with 503, and go on afterwards", {
    timeout: 60_000,
  }, async () => {
    const { config, upstream, name } = await share(servers, { apiRequests: 1_000, enforcement: "exact" });
    const { proxy, admin } = await startApp(config);
    const isOffline = async () =>
      (await scrape(admin)).value("usage_backend_problem", { backend: name, problem: "offline" });
    const status = async (): Promise<number> => (await call(proxy, "/objects/1")).status;
    // By its pace more is granted than the next request needs.
    for (let at = 0; at < 200; at++) expect(await status()).toBe(200);
    await servers.redis.pause();
    onTestFinished(() => servers.redis.resume());
    expect(await status()).toBe(200);
    await vi.waitFor(async () => {
      const { status, headers, json } = await call(proxy, "/objects/1");
      expect([status, headers["retry-after"]]).toEqual([503, "1"]);
      expect(json).toMatchObject({ detail: expect.stringContaining("offline") });
    }, SOON);
    expect(await isOffline()).toBe(1);
    const { apiRequests } = upstream.measured();
    expect(await status()).toBe(503);
    expect(upstream.measured().apiRequests).toBe(apiRequests);
    await servers.redis.resume();
    // Whoever has only just been granted something may be refused once more on a busy machine.
    await vi.waitFor(async () => expect([await status(), await isOffline()]).toEqual([200, undefined]), SOON);
  });
});
