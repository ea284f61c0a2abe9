import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { NotConnectedError, type RedisCounterBackend, recommendedClusterOptions } from "@usage/counter-redis";
import { LOCALHOST_CERT, LOCALHOST_KEY, type RedisServer, startRedisCluster } from "@usage/test-servers";
import { Cluster, type Redis } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";
import { client, counter, freshPrefix, patientClient } from "./support/counters.ts";
import { eventsOf } from "./support/events.ts";
import { redisServer } from "./support/servers.ts";
import { SOON } from "./support/soon.ts";

interface Parts {
  readonly server: RedisServer;
  readonly redis: Redis;
}

/** What keeps a client from connecting again, and what is told of it. */
const CAUSES: readonly {
  readonly what: string;
  readonly user?: string;
  readonly breakIt: (parts: Parts) => unknown;
  readonly cause: RegExp;
}[] = [
  {
    what: "nobody listens any more",
    breakIt: ({ server }) => server.kill(),
    cause: /connect ECONNREFUSED 127\.0\.0\.1:\d+/,
  },
  {
    what: "its name leads nowhere",
    breakIt: ({ redis }) => reconnect(redis, { host: "redis.invalid" }),
    cause: /getaddrinfo (ENOTFOUND|EAI_AGAIN)/,
  },
  {
    what: "it does not speak TLS",
    breakIt: ({ redis }) => reconnect(redis, { tls: {} }),
    cause: /connect ETIMEDOUT/,
  },
  {
    what: "nobody vouches for its certificate",
    async breakIt({ redis }) {
      const server = createServer({ cert: LOCALHOST_CERT, key: LOCALHOST_KEY }).listen(0);
      onTestFinished(() => void server.close());
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      reconnect(redis, { host: "localhost", port, tls: {} });
    },
    cause: /self-signed certificate.* \(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
  },
  {
    what: "it demands a password now",
    async breakIt({ server, redis }) {
      await server.command("CONFIG", "SET", "requirepass", "secret");
      reconnect(redis);
    },
    cause: /NOAUTH/,
  },
  {
    what: "the password is another one now",
    user: "counter:secret@",
    async breakIt({ server, redis }) {
      await server.command("ACL", "SETUSER", "counter", "resetpass", ">changed");
      reconnect(redis);
    },
    cause: /WRONGPASS/,
  },
];

describe("why Redis is away", () => {
  it.each(CAUSES)("is told as soon as the client knows: $what", async ({ user = "", breakIt, cause }) => {
    const server = await redisServer();
    await server.command("ACL", "SETUSER", "counter", "on", ">secret", "+@all", "~*");
    const redis = await client(`redis://${user}127.0.0.1:${server.port}`);
    const one = await counter({ prefix: freshPrefix(), client: redis, probeIntervalMs: 50 });
    const told = eventsOf(one, "unhealthy");
    await breakIt({ server, redis });
    await expect.poll(() => String(told.at(-1)?.error), SOON).toMatch(cause);
    const error = told.at(-1)?.error as NotConnectedError;
    expect(error).toBeInstanceOf(NotConnectedError);
    expect(error.cause).toBeInstanceOf(Error);
    expect(String(one.lastError())).toMatch(cause);
    // And each reason once.
    const reasons = told.map(({ error: each }) => String(each instanceof NotConnectedError ? each.cause : each));
    expect(new Set(reasons).size).toBe(reasons.length);
  });

  it("is told for each address of a name that has several", () => {
    const refused = [new Error("connect ECONNREFUSED ::1:6379"), new Error("connect ECONNREFUSED 127.0.0.1:6379")];
    const error = new NotConnectedError(
      "reconnecting",
      Object.assign(new AggregateError(refused), { code: "ECONNREFUSED" }),
    );
    expect(error.message).toBe(
      'Redis is not connected (the client is "reconnecting"): connect ECONNREFUSED ::1:6379, connect ECONNREFUSED 127.0.0.1:6379',
    );
  });

  it("is forgotten once it is back, and told again when it is away again", async () => {
    const server = await redisServer();
    const redis = await client(server.url);
    const one = await counter({ prefix: freshPrefix(), client: redis, probeIntervalMs: 50 });
    const told = eventsOf(one, "unhealthy");
    const refusals = (): number => told.filter(({ error }) => String(error).includes("ECONNREFUSED")).length;
    for (let i = 1; i <= 2; i++) {
      await server.kill();
      await expect.poll(refusals, SOON).toBe(i);
      await server.start();
      await expect.poll(() => one.isHealthy(), SOON).toBe(true);
      expect(one.lastError()).toBe(undefined);
    }
  });

  it("is told by a cluster's client, too", async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.stop());
    const nodes = cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
    const redis = new Cluster(nodes, recommendedClusterOptions);
    redis.on("error", () => {});
    onTestFinished(() => redis.disconnect());
    const one: RedisCounterBackend = await counter({ prefix: freshPrefix(), client: redis, probeIntervalMs: 50 });
    const told = eventsOf(one, "unhealthy");
    await cluster.stop();
    await expect
      .poll(() => told.map(({ error }) => String(error)).join("\n"), SOON)
      .toMatch(/ECONNREFUSED|Connection is closed/);
    await expect.poll(() => String(one.lastError()), SOON).toMatch(/ECONNREFUSED|Connection is closed/);
  });

  it("is listened for until the counter is closed, and not after that", async () => {
    const redis = await patientClient();
    const before = redis.listenerCount("error");
    const one = await counter({ prefix: freshPrefix(), client: redis });
    expect(redis.listenerCount("error")).toBe(before + 1);
    await one.close();
    expect(redis.listenerCount("error")).toBe(before);
  });
});

/** As if where it leads, or how, had changed meanwhile. */
function reconnect(redis: Redis, changed: object = {}): void {
  Object.assign(redis.options, changed);
  redis.disconnect(true);
}
