import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Instance, startInstance, startPostgres, startRedis } from "@usage/test-servers";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Address } from "../../src/config/address.ts";
import { startUpstream } from "../support/app.ts";
import { call } from "../support/call.ts";
import { type Behaviour, Receiver, SECRET } from "../support/receiver.ts";
import { startProxy, writeConfig } from "../support/running-proxy.ts";
import type { Servers } from "../support/shared-proxies.ts";
import { tempFolder } from "../support/temp-folder.ts";

let servers: Servers;
beforeAll(async () => {
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  servers = { redis, postgres };
});
afterAll(() => Promise.all([servers?.redis.stop(), servers?.postgres.stop()]));

const KINDS = ["with Redis and Postgres", "with one SQLite file"] as const;
const LIMIT = 40;
const LATER = { timeout: 40_000, interval: 50 };

/** A folder with a configuration for several proxies, whose backend and webhook no other test has. */
async function prepare(kind: (typeof KINDS)[number], { url }: Receiver, flush: string): Promise<string> {
  const upstream = await startUpstream();
  const folder = tempFolder();
  const [name, prefix, webhook] = ["oci", "test", "ops"].map((word) => `${word}-${randomUUID()}`);
  const shared = `store: { kind: postgres, url: "${servers.postgres.url}" }
counter: { kind: redis, url: "${servers.redis.url}", prefix: ${prefix} }`;
  writeConfig(
    folder,
    `${kind === "with one SQLite file" ? "store: { kind: sqlite, file: usage.db }" : shared}
flush: ${flush}
webhooks: [{ name: ${webhook}, url: "${url.href}", secret: ${SECRET} }]
backends: [{ name: ${name}, url: "${upstream.url.href}", limits: { apiRequests: ${LIMIT} } }]`,
  );
  return folder;
}

async function use(proxy: Address, requests: number): Promise<void> {
  for (let n = 0; n < requests; n++) await call(proxy, "/objects/1");
}

describe.each(KINDS)("two proxies %s", (kind) => {
  it("tell each crossing under one id, once while all is well, at the usage that is stored", {
    timeout: 60_000,
  }, async () => {
    const receiver = await Receiver.start();
    const folder = await prepare(kind, receiver, "{ intervalMs: 200, nearLimitIntervalMs: 200 }");
    const proxies = [await startProxy(folder), await startProxy(folder)];
    // None of them alone reaches any but the first threshold.
    await Promise.all(proxies.map(({ proxy }) => use(proxy, LIMIT / 2)));
    await vi.waitFor(() => expect(receiver.deliveries.length).toBeGreaterThanOrEqual(3), LATER);
    for (const { child } of proxies) {
      child.signal("SIGTERM");
      expect(await child.exit()).toBe(0);
    }
    const events = receiver.verified();
    expect(events.map(({ threshold }) => threshold).sort()).toEqual([0.5, 0.8, 1]);
    expect(new Set(events.map(({ id }) => id)).size).toBe(3);
    for (const { usage, threshold, limit } of events) expect(usage).toBeGreaterThanOrEqual(threshold * limit);
  });
});

interface Doomed {
  readonly instance: Instance;
  readonly proxy: Address;
}

/** A proxy that flushes when told, and is killed with the test at the latest. */
async function startDoomed(folder: string, cut = ""): Promise<Doomed> {
  const instance = startInstance(new URL("doomed-proxy.ts", import.meta.url), {
    args: [folder],
    env: { INIT_CWD: folder, CUT: cut },
  });
  onTestFinished(async () => void (await instance.kill()));
  return { instance, proxy: (await instance.next()) as Address };
}

const hangsAtFirst: Behaviour = (n) => (n < 1 ? "hang" : 200);
const failsAtFirst: Behaviour = (n) => (n < 1 ? 500 : 200);
const KILLED = [
  ["once it has claimed a crossing", "claimed", undefined, 0],
  ["while the receiver has its delivery and has not answered", "", hangsAtFirst, 1],
  ["once the receiver has refused it", "", failsAtFirst, 1],
  ["once the receiver has taken it, before the store knows", "told", undefined, 1],
] as const;

describe.each(KINDS)("a proxy that is killed, %s,", (kind) => {
  describe.each(KILLED)("%s", (_, cut, behaviour, before) => {
    it("has its delivery made by another, or by its next run, under the same id", { timeout: 60_000 }, async () => {
      const receiver = await Receiver.start(behaviour);
      const folder = await prepare(kind, receiver, "{ intervalMs: 3600000, nearLimitIntervalMs: 3600000 }");
      // What the other one does for a webhook begins once the first is dead: it may not be quicker.
      const other = kind === "with one SQLite file" ? undefined : await startDoomed(folder);
      other?.instance.pause();
      const doomed = await startDoomed(folder, cut);
      await use(doomed.proxy, LIMIT / 2);
      await doomed.instance.send("flush");
      const said = [await doomed.instance.next(), ...(before === 0 ? [await doomed.instance.next()] : [])];
      expect(said.sort()).toEqual(before === 0 ? ["claimed", "flushed"] : ["flushed"]);
      await vi.waitFor(() => expect(receiver.deliveries).toHaveLength(before), LATER);
      await doomed.instance.kill();
      if (other === undefined) await startDoomed(folder);
      else other.instance.resume();
      await vi.waitFor(() => expect(receiver.deliveries.length).toBeGreaterThan(before), LATER);
      const events = receiver.verified();
      for (const event of events) expect(event).toEqual(events[0]);
      expect(events[0]).toMatchObject({ threshold: 0.5, limit: LIMIT, usage: LIMIT / 2 });
      // It is known to be told: it would be due again by now.
      const { length } = receiver.deliveries;
      await sleep(2_500);
      expect(receiver.deliveries).toHaveLength(length);
    });
  });
});
