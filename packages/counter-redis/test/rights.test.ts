import { readdirSync, readFileSync } from "node:fs";
import { memoryStore } from "@usage/counter-core";
import { RedisCounterBackend } from "@usage/counter-redis";
import type { RedisServer, RedisVersion } from "@usage/test-servers";
import { describe, expect, it, onTestFinished } from "vitest";
import { trialOf } from "../src/server/rights.ts";
import { client, counter, freshPrefix, patientClient } from "./support/counters.ts";
import { eventsOf } from "./support/events.ts";
import { flush, storedRequests } from "./support/flush.ts";
import { redisServer } from "./support/servers.ts";
import { keysOf } from "./support/shared.ts";
import { SOON } from "./support/soon.ts";

const NEEDED = [
  ...["del", "eval", "evalsha", "exists", "hdel", "hget", "hgetall", "hmget", "hset", "info", "mget", "pexpire", "set"],
  ...["time", "zadd", "zcard", "zmscore", "zrange", "zrangebyscore", "zrem"],
];

describe("rights", () => {
  it("are tried for every command that the sources send", () => {
    const sent = new Set<string>();
    for (const folder of ["../src/server/", "../lua/"]) {
      const url = new URL(folder, import.meta.url);
      for (const file of readdirSync(url)) {
        const text = readFileSync(new URL(file, url), "utf8");
        const calls = /(?:client\.call|#calls?(?:\.call)?|redis\.p?call)\((?<quote>['"])(?<name>\w+)\k<quote>/g;
        for (const { groups } of text.matchAll(calls)) sent.add(String(groups?.name).toLowerCase());
      }
    }
    // Sent before all others, to see whether there is a Redis.
    sent.delete("ping");
    // What exact limits need is looked for where that is allowed.
    sent.delete("config");
    const tried = (isCluster: boolean) => trialOf("usage", isCluster).map(([name]) => name);
    expect([...new Set([...tried(false), ...tried(true)])].sort()).toEqual([...sent].sort());
    // Of one command for many keys and one for each, a server needs this and a cluster that.
    expect(tried(false).sort()).toEqual(NEEDED);
    expect(tried(true).sort()).toEqual(NEEDED.map((name) => (name === "mget" ? "get" : name)).sort());
  });

  it("are in the README as they are tried", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const [, rules = ""] = /ACL SETUSER usage on >password ~usage:\* resetchannels -@all (.*)/.exec(readme) ?? [];
    expect(rules.split(" ").sort()).toEqual(["ping", ...NEEDED].map((name) => `+${name}`).sort());
  });
});

describe.each<RedisVersion | undefined>([undefined, "Redis 8.0", "Valkey 8.1"])("rights on %s", (version) => {
  const all = (prefix: string): readonly string[] => [`~${prefix}:*`, "+ping", ...NEEDED.map((name) => `+${name}`)];

  async function server(): Promise<RedisServer> {
    return redisServer(version === undefined ? {} : { version });
  }

  /** Connects as a user of these rights only. */
  async function connectWith(on: RedisServer, prefix: string, rules: readonly string[]): Promise<RedisCounterBackend> {
    await on.command("ACL", "SETUSER", "frugal", "reset", "on", ">secret", ...rules);
    // What the client itself asks for when it connects.
    const own = { enableReadyCheck: false, disableClientInfo: true };
    const redis = await patientClient(`redis://frugal:secret@127.0.0.1:${on.port}`, own);
    return RedisCounterBackend.connect({ client: redis, prefix, backends: ["oci"] });
  }

  it("that are missing are named at the start, each, with the rule that gives it", async () => {
    const on = await server();
    const prefix = freshPrefix();
    for (const missing of NEEDED) {
      const connecting = connectWith(on, prefix, [...all(prefix), `-${missing}`]);
      await expect(connecting, missing).rejects.toThrow(
        new RegExp(`may not do what is needed .*lacks: ACL SETUSER \\w+ \\+${missing}$`),
      );
      await expect(connecting).rejects.toMatchObject({ code: "USAGE_REDIS_CONNECT" });
    }
    const several = connectWith(on, prefix, [...all(prefix), "-zrangebyscore", "-hset"]);
    await expect(several).rejects.toThrow(/lacks: ACL SETUSER \w+ \+hset \+zrangebyscore$/);
    const keys = connectWith(on, prefix, [...all("elsewhere")]);
    await expect(keys).rejects.toThrow(`~${prefix}:*`);
    expect(await on.command("KEYS", "*")).toEqual([]);
    const enough = await connectWith(on, prefix, all(prefix));
    await enough.close();
    // The trial leaves nothing behind: all that is there is the bucket of the one backend.
    const { epoch, changes, version } = keysOf(prefix, enough.period().key, "oci");
    expect([...((await on.command("KEYS", "*")) as string[])].sort()).toEqual([changes, epoch, version]);
  });

  it("that are withdrawn while a counter runs are told, and it goes on with what it may do", async () => {
    const on = await server();
    const prefix = freshPrefix();
    const store = memoryStore();
    const one = await connectWith(on, prefix, all(prefix));
    onTestFinished(() => one.close());
    const failed = eventsOf(one, "failed");
    const victimsClient = await client(on.url);
    const victim = await counter({ prefix, backends: ["acme"], client: victimsClient });
    victim.add("acme", "apiRequests", 5);
    await expect.poll(() => victim.unpushedAll("acme").apiRequests, SOON).toBe(0);
    victimsClient.disconnect();
    one.add("oci", "apiRequests", 3);
    for (const command of ["zrangebyscore", "hgetall"]) {
      failed.length = 0;
      await on.command("ACL", "SETUSER", "frugal", `-${command}`);
      for (let i = 0; i < 3; i++) await flush(one, store);
      expect(await storedRequests(one, store, "oci")).toBe(3);
      expect(await storedRequests(one, store, "acme")).toBe(0);
      await expect.poll(() => failed.map(({ chore }) => chore), SOON).toEqual(["reconcile"]);
      const said = new RegExp(`(NOPERM|ACL failure).*${command}|can't run this command`);
      expect(String(failed[0]?.error)).toMatch(said);
      expect(String(one.lastError())).toMatch(said);
      // Counts are still exchanged.
      expect(one.isHealthy()).toBe(true);
      await on.command("ACL", "SETUSER", "frugal", `+${command}`);
    }
    await flush(one, store);
    expect(one.lastError()).toBe(undefined);
    expect(await storedRequests(one, store, "acme")).toBe(5);
  });

  it("that are withdrawn for counts end the exchange, and the reason is told", async () => {
    const on = await server();
    const prefix = freshPrefix();
    const one = await connectWith(on, prefix, all(prefix));
    onTestFinished(() => one.close());
    const told = eventsOf(one, "unhealthy");
    await on.command("ACL", "SETUSER", "frugal", "-hset");
    one.add("oci", "apiRequests", 1);
    await expect
      .poll(() => told.map(({ error }) => String(error)), SOON)
      .toEqual([expect.stringMatching(/permission|can't run this command/)]);
    expect(String(one.lastError())).toMatch(/permission|can't run this command/);
    await on.command("ACL", "SETUSER", "frugal", "+hset");
    await expect.poll(() => one.isHealthy(), SOON).toBe(true);
    expect(one.lastError()).toBe(undefined);
    expect(one.unpushedAll("oci").apiRequests).toBe(0);
  });

  it("that are missing for one backend's key hold up that backend only, and say so", async () => {
    const on = await server();
    const prefix = freshPrefix();
    const rules = all(prefix).filter((rule) => !rule.startsWith("~"));
    // Both are in one bucket, and one call.
    const keys = ["*rights*", "*/epoch", "*/changes", "*/v", "*oci"].map((pattern) => `~${prefix}:${pattern}`);
    const one = await connectWith(on, prefix, [...rules, ...keys]);
    onTestFinished(() => one.close());
    const refused = eventsOf(one, "refused");
    const unhealthy = eventsOf(one, "unhealthy");
    await one.ensure(["leo"], async () => []);
    for (const backend of ["oci", "leo"]) one.add(backend, "apiRequests", 1);
    await expect.poll(() => refused.map(({ backends }) => backends), SOON).toEqual([["leo"]]);
    expect(refused[0]?.error.message).toMatch(new RegExp(`${prefix}:v2:.*:leo cannot be used: NOPERM.*ACL SETUSER`));
    expect(one.refused()).toEqual(["leo"]);
    await expect.poll(() => one.unpushedAll("oci").apiRequests, SOON).toBe(0);
    expect(unhealthy).toEqual([]);
    await on.command("ACL", "SETUSER", "frugal", `~${prefix}:*`);
    await expect.poll(() => one.unpushedAll("leo").apiRequests, SOON).toBe(0);
    expect(one.refused()).toEqual([]);
  });
});
