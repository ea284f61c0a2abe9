import { setTimeout as sleep } from "node:timers/promises";
import { type Clock, systemClock } from "@usage/counter-core";
import {
  type RedisConnectError,
  RedisCounterBackend,
  recommendedClientOptions,
  recommendedClusterOptions,
} from "@usage/counter-redis";
import { startRedisCluster, startReplica } from "@usage/test-servers";
import { Cluster, Redis } from "ioredis";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { connect } from "../src/server/connect.ts";
import { trialOf } from "../src/server/rights.ts";
import { freshPrefix } from "./support/counters.ts";
import { faultProxy, redisServer } from "./support/servers.ts";
import { SOON } from "./support/soon.ts";
import { TappedClient } from "./support/tapped-client.ts";

/** Five seconds, and what a busy machine takes. */
const FAILED_WITHIN_MS = 5_500;

const CLIENTS = [recommendedClientOptions, {}];

describe("connecting, with the recommended options and with ioredis's own,", () => {
  function clientsOf(url: string, more: object = {}): readonly Redis[] {
    return CLIENTS.map((options) => {
      const redis = new Redis(url, { ...options, ...more });
      redis.on("error", () => {});
      onTestFinished(() => redis.disconnect());
      return redis;
    });
  }

  /** Why connecting fails; checks that it does so in time, and that nothing goes on afterwards. */
  async function failure(redis: Redis | Cluster, prefix = freshPrefix()): Promise<RedisConnectError> {
    const tapped = new TappedClient(redis);
    const clock = new CountingClock();
    const started = performance.now();
    const error = await RedisCounterBackend.connect({ client: tapped, prefix, backends: ["oci"], clock }).then(
      () => expect.unreachable(`it connected: ${tapped.sent}`),
      (error: unknown) => error as RedisConnectError,
    );
    expect(performance.now() - started).toBeLessThan(FAILED_WITHIN_MS);
    expect(error).toMatchObject({ name: "RedisConnectError", code: "USAGE_REDIS_CONNECT" });
    const sent = tapped.sent.length;
    await sleep(200);
    expect(tapped.sent.length).toBe(sent);
    // The one by which every counter notices the next period, which does not keep it in memory.
    expect(clock.pending).toBeLessThanOrEqual(1);
    // It is not ours to end: without us, it goes on trying.
    expect(redis.status).not.toBe("end");
    return error;
  }

  async function failures(url: string, prefix?: string): Promise<readonly string[]> {
    const errors = await Promise.all(clientsOf(url).map((redis) => failure(redis, prefix)));
    for (const { message } of errors) expect(message).toMatch(/^RedisCounterBackend cannot start: /);
    return errors.map(({ message }) => message);
  }

  it("waits until a client that was just made is connected", async () => {
    const url = inject("redisUrl");
    for (const client of [...clientsOf(url), ...clientsOf(url, { lazyConnect: true })]) {
      const counter = await RedisCounterBackend.connect({ client, prefix: freshPrefix(), backends: ["oci"] });
      await counter.close();
    }
  });

  it("fails when nobody listens or nothing is answered, and begins nothing when the answer comes after all", async () => {
    const server = await redisServer();
    const { proxy, url } = await faultProxy(server.url);
    const silent = clientsOf(url);
    await Promise.all(silent.map((redis) => new Promise((resolve) => redis.once("ready", resolve))));
    proxy.blackHole = true;
    const [refused, ...errors] = await Promise.all([
      failures("redis://127.0.0.1:1"),
      ...silent.map((redis) => failure(redis)),
    ]);
    for (const message of refused) expect(message).toContain("ECONNREFUSED");
    for (const message of [...refused, ...errors.map((error) => error.message)]) {
      expect(message).toMatch(/: no answer from Redis within \d+ ms \(the client is \w+\)/);
    }
    await proxy.heal();
    await sleep(500);
    expect(await server.command("DBSIZE")).toBe(0);
  });

  it("waits as long as the first exchange goes on, and half a second for the reply after that", async () => {
    const [one] = clientsOf(inject("redisUrl")) as [Redis, ...Redis[]];
    for (const lasting of [true, false]) {
      let replies = 0;
      const timer = setInterval(() => void replies++, 50);
      onTestFinished(() => clearInterval(timer));
      const start = async (): Promise<void> => {
        await sleep(4_000);
        if (!lasting) clearInterval(timer);
        await sleep(2_000);
      };
      const begun = connect(one, freshPrefix(), { start, replies: () => replies });
      if (lasting) await begun;
      else await expect(begun).rejects.toThrow("no answer from Redis");
    }
  });

  it("fails when a password is needed, or another one", async () => {
    const server = await redisServer({ config: { requirepass: "secret" } });
    for (const message of await failures(`redis://127.0.0.1:${server.port}`)) {
      expect(message).toContain("Redis demands a password: give the client one");
    }
    for (const message of await failures(`redis://:wrong@127.0.0.1:${server.port}`)) {
      expect(message).toContain("Redis refuses the user or password of the client");
    }
  });

  it("fails with what the nodes of a cluster say", async () => {
    const cluster = await startRedisCluster({ config: { requirepass: "secret", masterauth: "secret" } });
    onTestFinished(() => cluster.stop());
    const nodes = cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
    const say = (password: { readonly password?: string }): readonly Promise<string>[] => {
      const { redisOptions } = recommendedClusterOptions;
      const recommended = { ...recommendedClusterOptions, redisOptions: { ...redisOptions, ...password } };
      return [recommended, { redisOptions: password }].map(async (options) => {
        const client = new Cluster(nodes, options);
        client.on("error", () => {});
        onTestFinished(() => client.disconnect());
        return (await failure(client)).message;
      });
    };
    for (const message of await Promise.all(say({}))) expect(message).toContain("Redis demands a password");
    for (const message of await Promise.all(say({ password: "wrong" }))) {
      expect(message).toContain("Redis refuses the user or password");
    }
  });

  it("fails on a read-only replica", async () => {
    const master = await redisServer();
    const replica = await startReplica(master);
    onTestFinished(() => replica.stop());
    for (const message of await failures(replica.url)) {
      expect(message).toContain("this server is a read-only replica: connect to its master");
    }
  });

  it("fails on a node of a cluster, even where all keys happen to be on that node", async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.stop());
    for (const node of cluster.nodes) {
      for (const message of await failures(node.url)) {
        expect(message).toContain("part of a cluster: pass a Cluster of ioredis instead of a Redis");
      }
    }
  });

  it("fails for a user that may not do what is needed, and says what", async () => {
    const server = await redisServer();
    const rights = {
      nothing: "+ping +info",
      keys: "+@all ~other:*",
      scripts: "+@all ~* -evalsha",
      writes: "+@all ~* -hset",
    };
    for (const [user, rules] of Object.entries(rights)) {
      await server.command("ACL", "SETUSER", user, "on", ">secret", ...rules.split(" "));
      for (const message of await failures(`redis://${user}:secret@127.0.0.1:${server.port}`)) {
        expect(message, user).toMatch(/the user of the client may not do what is needed \(NOPERM .*permissions/);
      }
    }
  });

  it("needs no more rights than its commands", async () => {
    const server = await redisServer();
    const prefix = freshPrefix();
    const commands = ["ping", ...trialOf(prefix, false).map(([name]) => name)];
    const rules = [`~${prefix}:*`, ...commands.map((command) => `+${command}`)];
    await server.command("ACL", "SETUSER", "frugal", "on", ">secret", ...rules);
    // What the client itself asks for when it connects.
    const more = { enableReadyCheck: false, disableClientInfo: true };
    for (const client of clientsOf(`redis://frugal:secret@127.0.0.1:${server.port}`, more)) {
      const counter = await RedisCounterBackend.connect({ client, prefix, backends: ["oci"] });
      counter.add("oci", "apiRequests", 1);
      await expect.poll(() => counter.unpushedAll("oci").apiRequests, SOON).toBe(0);
      await counter.tallies();
      counter.discard("oci");
      await counter.close();
      expect(counter.isHealthy()).toBe(true);
      expect(await server.command("KEYS", "*:oci")).toEqual([]);
    }
  });

  it("fails on a server that is too old, and names its version", async () => {
    const server = await redisServer({ version: "Redis 6.0" });
    for (const message of await failures(server.url)) {
      expect(message).toMatch(/the server is Redis 6\.0\.\d+; 6\.2 or newer is needed/);
    }
  });
});

/** Knows how many timers are set. */
class CountingClock implements Clock {
  pending = 0;

  now(): number {
    return systemClock.now();
  }

  elapsed(): number {
    return systemClock.elapsed();
  }

  after(delayMs: number, callback: () => void): () => void {
    this.pending++;
    let isSet = true;
    const unset = (): void => {
      if (isSet) this.pending--;
      isSet = false;
    };
    const cancel = systemClock.after(delayMs, () => {
      unset();
      callback();
    });
    return () => {
      unset();
      cancel();
    };
  }
}
