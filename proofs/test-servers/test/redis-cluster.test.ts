import { type RedisCluster, type RedisClusterOptions, type RedisServer, startRedisCluster } from "@usage/test-servers";
import { Cluster } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";

/** More than one batch of a migration. */
const KEYS = Array.from({ length: 250 }, (_, index) => `{tag}:${index}`);

describe("startRedisCluster", () => {
  it("spreads keys over three masters", async () => {
    const cluster = await start();
    const client = clientOf(cluster);
    for (const key of KEYS.keys()) expect(await client.set(`key:${key}`, key)).toBe("OK");
    const sizes = await Promise.all(cluster.nodes.map((node) => node.command("DBSIZE")));
    expect(sizes).toHaveLength(3);
    expect(sizes).not.toContain(0);
    expect(sizes.map(Number).reduce((sum, size) => sum + size)).toBe(KEYS.length);
  });

  it.each([{}, { requirepass: "secret" }])("moves a slot with its keys, with the settings %o", async (config) => {
    const cluster = await start({ config });
    const client = clientOf(cluster);
    for (const key of KEYS) await client.set(key, `value of ${key}`);
    const slot = await cluster.slotOf("{tag}");
    const from = await cluster.ownerOf(slot);
    const to = otherThan(from, cluster);
    await cluster.moveSlot(slot, to);
    await cluster.moveSlot(slot, to);
    expect(await cluster.ownerOf(slot)).toBe(to);
    expect(await from.command("CLUSTER", "COUNTKEYSINSLOT", slot)).toBe(0);
    expect(await to.command("CLUSTER", "COUNTKEYSINSLOT", slot)).toBe(KEYS.length);
    await expect(from.command("GET", KEYS[0] ?? "")).rejects.toThrow(`MOVED ${slot} 127.0.0.1:${to.port}`);
    for (const key of KEYS) expect(await client.get(key)).toBe(`value of ${key}`);
  });

  it("is whole again when a node was killed, and started again without its data", async () => {
    const cluster = await start();
    const slot = await cluster.slotOf("key");
    const node = await cluster.ownerOf(slot);
    await node.command("SET", "key", 1);
    await node.kill();
    await node.startEmpty();
    await cluster.ready();
    expect(await cluster.ownerOf(slot)).toBe(node);
    expect(await node.command("GET", "key")).toBeNull();
    const client = clientOf(cluster);
    await client.set("key", 2);
    expect(await node.command("GET", "key")).toBe("2");
  });
});

async function start(options?: RedisClusterOptions): Promise<RedisCluster> {
  const cluster = await startRedisCluster(options);
  onTestFinished(() => cluster.stop());
  return cluster;
}

function clientOf(cluster: RedisCluster): Cluster {
  const { password } = new URL(cluster.nodes[0]?.url ?? "");
  const nodes = cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port }));
  const client = new Cluster(nodes, { redisOptions: password === "" ? {} : { password } });
  onTestFinished(() => client.disconnect());
  return client;
}

function otherThan(node: RedisServer, { nodes }: RedisCluster): RedisServer {
  const other = nodes.find((candidate) => candidate !== node);
  if (other === undefined) throw new Error("a cluster has more than one node");
  return other;
}
