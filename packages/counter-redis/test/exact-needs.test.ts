import { RedisCounterBackend } from "@usage/counter-redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { freshPrefix, patientClient } from "./support/counters.ts";
import { eventsOf } from "./support/events.ts";
import { redisServer } from "./support/servers.ts";
import { SOON } from "./support/soon.ts";

describe("exact limits need of a server", () => {
  async function connect(url: string, enforcement: "exact" | "approximate" = "exact"): Promise<RedisCounterBackend> {
    const client = await patientClient(url, { enableReadyCheck: false, disableClientInfo: true });
    const counter = await RedisCounterBackend.connect({ client, prefix: freshPrefix(), enforcement });
    onTestFinished(() => counter.close());
    return counter;
  }

  /** What it warns of, right after it has connected. */
  async function cautions(url: string, enforcement?: "exact" | "approximate"): Promise<readonly string[]> {
    const counter = await connect(url, enforcement);
    const events = eventsOf(counter, "cautioned");
    await new Promise((resolve) => setTimeout(resolve, 200));
    return events.map(({ problem }) => problem);
  }

  it("that scripts may read INFO: else it is refused, with what to do; approximate limits need none of it", async () => {
    const redis = await redisServer();
    await redis.command("ACL", "SETUSER", "default", "-info");
    await expect(connect(redis.url)).rejects.toThrow(
      /scripts must be able to read INFO server and INFO replication, .* \+info\), or use enforcement "approximate"/,
    );
    // The user itself must have that right in any mode; other servers deny it to scripts alone.
    await redis.command("ACL", "SETUSER", "default", "+info");
    expect(await cautions(redis.url)).toEqual([]);
  });

  it("that it evicts nothing: it warns where memory is bounded and keys would go", async () => {
    const redis = await redisServer();
    await redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    expect(await cautions(redis.url)).toEqual([]);
    await redis.command("CONFIG", "SET", "maxmemory", "100mb");
    expect(await cautions(redis.url)).toEqual([
      expect.stringMatching(/evicts keys .*allkeys-lru.* set it to noeviction/),
    ]);
    expect(await cautions(redis.url, "approximate")).toEqual([]);
    await redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction");
    expect(await cautions(redis.url)).toEqual([]);
  });

  it("that it waits for a replica where it has some: it warns where it does not, and where that cannot be seen", async () => {
    const [redis, replica] = [await redisServer(), await redisServer()];
    await replica.command("REPLICAOF", "127.0.0.1", String(redis.port));
    const replicas = async (): Promise<unknown> => redis.command("INFO", "replication");
    await expect.poll(async () => String(await replicas()), SOON).toMatch(/connected_slaves:1/);
    expect(await cautions(redis.url)).toEqual([expect.stringMatching(/goes on without them.*min-replicas-to-write 1/)]);
    await redis.command("ACL", "SETUSER", "default", "-config");
    expect(await cautions(redis.url)).toEqual([expect.stringMatching(/cannot be seen.*CONFIG GET/)]);
    await redis.command("ACL", "SETUSER", "default", "+config");
    await redis.command("CONFIG", "SET", "min-replicas-to-write", "1");
    await expect.poll(async () => String(await replicas()), SOON).toMatch(/min_slaves_good_slaves:1/);
    expect(await cautions(redis.url)).toEqual([]);
  });

  it("nothing that has another name", async () => {
    const client = await patientClient();
    const options = { client, prefix: freshPrefix(), enforcement: "roughly" };
    await expect(RedisCounterBackend.connect(options as never)).rejects.toThrow(/enforcement must be/);
  });
});
