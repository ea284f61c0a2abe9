import { randomUUID } from "node:crypto";
import { type RedisServer, startRedis } from "@usage/test-servers";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { compose } from "../src/compose.ts";
import { redisLog } from "../src/log/redis-log.ts";
import { openPage, textOf, untilLive } from "./dashboard/watched-page.ts";
import { startApp, startUpstream, testConfig } from "./support/app.ts";
import { launchBrowser } from "./support/browser.ts";
import { call } from "./support/call.ts";
import { scrape } from "./support/metrics.ts";
import { recordedLog } from "./support/recorded-log.ts";
import { NOTHING, report, SOON } from "./support/shared-proxies.ts";

let redis: RedisServer;
let browser: Browser;
beforeAll(async () => {
  [redis, browser] = await Promise.all([startRedis(), launchBrowser()]);
});
afterAll(() => Promise.all([redis?.stop(), browser?.close()]));

/** What the README of the counter's package says. */
const RIGHTS =
  "resetchannels -@all +ping +info +time +eval +evalsha +mget +set +exists +del +pexpire +hget +hmget +hgetall +hset " +
  "+hdel +zadd +zcard +zmscore +zrange +zrangebyscore +zrem";
/** Needed to find out what dead instances had shared, and what others change, which is nothing here. */
const RIGHT = "zrangebyscore";

async function configOf(user: string, prefix: string, names: readonly string[]) {
  const upstream = await startUpstream();
  const url = redis.url.replace("redis://", `redis://${user}:secret@`);
  const backends = names.map((name) => ({ name, url: upstream.url, limits: {} }));
  return testConfig(backends, { counter: { kind: "redis", url, prefix } });
}

it("a proxy whose user of Redis may not do all that is needed does not start, and says which rights to give", async () => {
  await redis.command("ACL", "SETUSER", "short", "on", ">secret", "~usage:*", ...RIGHTS.split(" "), `-${RIGHT}`);
  const config = await configOf("short", "usage", ["oci"]);
  await expect(compose(config)).rejects.toThrow(
    new RegExp(`cannot be used: .*${RIGHT}.*ACL SETUSER \\w+ \\+${RIGHT}$`),
  );
});

it("rights that are withdrawn from a running proxy are in its log, its report, its metrics and on its dashboard", async () => {
  const prefix = `test-${randomUUID()}`;
  await redis.command("ACL", "SETUSER", "whole", "on", ">secret", `~${prefix}:*`, ...RIGHTS.split(" "));
  // An instance that shared what it counted, and died: only the list of backends tells of it.
  const dead = await startApp(await configOf("whole", prefix, ["acme"]));
  await call(dead.proxy, "/objects/10");
  await vi.waitFor(async () => expect((await report(dead.admin)).backend.unpushed).toEqual(NOTHING), SOON);

  const config = await configOf("whole", prefix, ["oci"]);
  const { log, lines } = recordedLog();
  const { app, admin } = await startApp(config, { onRedis: redisLog(log) });
  const { page } = await openPage(browser, admin);
  await untilLive(page);
  await redis.command("ACL", "SETUSER", "whole", `-${RIGHT}`);
  for (let i = 0; i < 3; i++) await app.flusher.flush();
  await vi.waitFor(() => expect(lines).toHaveLength(1), SOON);
  expect(lines).toMatchObject([
    {
      level: "error",
      event: "redis-failed",
      chore: "reconcile",
      msg: expect.stringMatching(new RegExp(`died had shared.*${RIGHT}`)),
    },
  ]);
  const { counter } = await report(admin);
  expect(counter).toMatchObject({ healthy: true, lastError: expect.stringMatching(new RegExp(`NOPERM.*${RIGHT}`)) });
  expect((await scrape(admin)).value("usage_redis_failed_total")).toBe(1);
  await expect
    .poll(() => textOf(page.getByRole("group", { name: "Counter" })), SOON)
    .toMatch(new RegExp(`Redis refuses something else that is needed: NOPERM.*${RIGHT}`));
  expect(await app.store.history({ backend: "acme" })).toEqual([]);

  await redis.command("ACL", "SETUSER", "whole", `+${RIGHT}`);
  for (let i = 0; i < 2; i++) await app.flusher.flush();
  expect(await app.store.history({ backend: "acme" })).toMatchObject([{ usage: { apiRequests: 1, egressBytes: 10 } }]);
  expect((await report(admin)).counter.lastError).toBeNull();
});
